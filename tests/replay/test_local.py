"""Instants as people write them, where clocks change too."""

from datetime import UTC, datetime

import pytest

from incidentd.errors import SettingsError
from incidentd.replay.local import parse_local, shown


@pytest.mark.parametrize(
    ("text", "at", "local"),
    [
        ("2026-10-25T00:30Z", (2026, 10, 25, 0, 30), "2026-10-25 00:30:00 UTC"),
        ("2026-11-21T09:00 Europe/Berlin", (2026, 11, 21, 8, 0), "2026-11-21 09:00:00 CET"),
        ("2026-11-21 Europe/Berlin", (2026, 11, 20, 23, 0), "2026-11-21 00:00:00 CET"),
        ("2026-10-25T02:30+01:00 Europe/Berlin", (2026, 10, 25, 1, 30), "2026-10-25 02:30:00 CET"),
        ("2026-10-25T02:30+02:00", (2026, 10, 25, 0, 30), "2026-10-25 02:30:00 UTC+02:00"),
        ("2026-07-01T12:00:30 Asia/Kolkata", (2026, 7, 1, 6, 30, 30), "2026-07-01 12:00:30 IST"),
    ],
)
def test_a_time_with_a_zone_or_an_offset_is_an_instant(text: str, at: tuple[int, ...], local: str) -> None:
    found = parse_local(text)
    assert (found.at, found.note) == (datetime(*at, tzinfo=UTC), "")  # type: ignore[misc, arg-type]
    assert shown(found.at, found.zone) == local


def test_of_a_time_that_comes_twice_the_first_is_taken_and_the_second_can_be_given() -> None:
    found = parse_local("2026-10-25T02:30 Europe/Berlin")
    assert found.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert found.note == (
        "02:30 comes twice there that day: the first one was taken, CEST; "
        "for the second one, CET, give '2026-10-25T02:30+01:00 Europe/Berlin'"
    )
    second = found.note.split("'")[1]
    assert parse_local(second).at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_time_that_the_clocks_skip_is_refused_with_both_that_may_be_meant() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_local("2026-03-29T02:30 Europe/Berlin")
    assert str(refused.value) == (
        "2026-03-29 02:30 does not exist in Europe/Berlin: the clocks skip it."
        " Give '2026-03-29T01:30+01:00 Europe/Berlin' or '2026-03-29T03:30+02:00 Europe/Berlin'"
    )
    both = [parse_local(each).at for each in str(refused.value).split("'")[1::2]]
    assert both == [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no time such as"),
        ("yesterday", "'yesterday' is no time such as"),
        ("2026-13-01T00:00Z", "'2026-13-01T00:00Z' is no time such as"),
        ("2026-10-25T02:30", "'2026-10-25T02:30' names no zone: add one"),
        ("2026-10-25T02:30 Europe/Berlim", "'Europe/Berlim' is no zone of the tz database"),
        ("2026-10-25T02:30 ../../etc/passwd", "'../../etc/passwd' is no zone of the tz database"),
        ("2026-10-25T02:30 Europe/", "'Europe/' is no zone of the tz database"),
    ],
)
def test_what_is_no_instant_is_refused_in_a_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_local(text)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
