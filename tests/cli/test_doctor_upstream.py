"""`incidentd doctor` asks Alertmanagers: reachable, believed, and do they know our receiver."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from incidentd.cli.doctor.finding import Finding, Grade
from incidentd.cli.doctor.patient import Patient
from incidentd.cli.doctor.upstream import alertmanagers
from incidentd.clock import SystemClock
from incidentd.settings import Settings
from tests import canary
from tests.alertmanager import Listing, listing
from tests.servers import free_port


@pytest.fixture
def upstream() -> Iterator[Listing]:
    with listing(SystemClock().now) as made:
        yield made


def found(**settings: Any) -> list[Finding]:
    patient = Patient.__new__(Patient)
    object.__setattr__(patient, "settings", Settings.model_validate(settings))
    return [finding for check in alertmanagers(patient) for finding in check.look()]


def test_without_an_address_it_says_what_that_costs() -> None:
    (finding,) = found()
    assert (finding.grade, bool(finding.mend)) == (Grade.WARNING, True)


def test_one_that_answers_and_knows_our_receiver_is_ok(upstream: Listing) -> None:
    findings = found(alertmanager_url=upstream.url)
    assert {each.grade for each in findings} == {Grade.OK}
    assert any("version 0.28.1" in each.says for each in findings)


def test_a_receiver_it_does_not_know_a_false_clock_and_silence_are_named(upstream: Listing) -> None:
    upstream.ahead = timedelta(minutes=5)
    secret = canary.of("alertmanager")
    gone = f"http://ann:{secret}@127.0.0.1:{free_port()}"
    findings = found(alertmanager_url=f"{upstream.url} {gone}", alertmanager_receiver="incidentd,pager duty")
    faults = [each for each in findings if each.grade is Grade.FAULT]
    assert [each.about for each in faults].count("Alertmanager") == 2
    assert any("no receiver pager duty" in each.says for each in faults)
    assert any("the connection was refused" in each.says for each in faults)
    assert any("clock is over 60 s off" in each.says for each in findings)
    assert not canary.leaks(str(findings))
