"""How destinations get their secrets, also when these are unfit."""

import os
from pathlib import Path

import pytest

from incidentd.classify import DestinationSpec
from incidentd.keyring import Keyring
from incidentd.settings import Settings

NAME = "INCIDENTD_PAGERDUTY_ROUTING_KEY_CTO"
STRONG = "c4n4rysecretc4n4rysecretc4n4ryab"
OTHER = "another0secretanother0secretanot"
SPEC = DestinationSpec("page-cto", "pagerduty", pages=True, secret_names=(NAME,))


def secret(environ: dict[str, str], **settings: str) -> str | None:
    """What a new keyring makes of the destination's secret."""
    found = Keyring(Settings.model_validate(settings), environ).destination(SPEC)
    return found.secret if found else None


def test_a_named_variable_goes_before_the_default_of_its_kind() -> None:
    assert secret({NAME: STRONG}, pagerduty_routing_key=OTHER) == STRONG
    assert secret({}, pagerduty_routing_key=OTHER) == OTHER


@pytest.mark.parametrize(
    "unfit", [{NAME: "short"}, {NAME + "_FILE": "/nowhere/key"}, {NAME: STRONG, NAME + "_FILE": ""}]
)
def test_an_unfit_secret_leaves_the_destination_out_and_is_not_passed_over(unfit: dict[str, str]) -> None:
    assert secret(unfit, pagerduty_routing_key=OTHER) is None


def test_a_secrets_file_is_read_again_only_when_it_was_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("short")
    keyring = Keyring(Settings.model_validate({}), {NAME + "_FILE": str(file)})
    assert keyring.destination(SPEC) is None
    file.write_text(STRONG)
    os.utime(file, ns=(1, 1))
    assert [found.secret for _ in range(2) if (found := keyring.destination(SPEC))] == [STRONG, STRONG]
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("read again"))
    assert keyring.destination(SPEC)
    assert STRONG not in repr(keyring)
