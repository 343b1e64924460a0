"""Named sources of webhooks, and the file that may be written at any time."""

import os
from pathlib import Path

import pytest

from incidentd.admission import Admission
from incidentd.errors import SettingsError
from incidentd.settings import hidden_values, load_settings
from incidentd.source import MOST_SOURCES, Source, SourceTable, parse_sources

OLD, NEW, OTHER = "the-old-token-0123", "the-new-token-4567", "another-ones-token-89"


def table(text: str) -> SourceTable:
    return SourceTable(parse_sources(text))


def test_each_token_is_of_its_source() -> None:
    known = table(f"# who may send\n\nprimary: {OLD}\nbackup-2: {OTHER}\n")
    assert known.names == ("primary", "backup-2")
    assert known.source_of(OLD.encode()) == "primary"
    assert known.source_of(OTHER.encode()) == "backup-2"
    assert known.source_of(b"neither-of-the-two-0") is None
    assert known.source_of(b"") is None


@pytest.mark.parametrize("text", [f"primary: {OLD} {NEW}", f"primary: {OLD}\nprimary: {NEW}"])
def test_old_and_new_token_count_side_by_side(text: str) -> None:
    assert [table(text).source_of(token.encode()) for token in (OLD, NEW)] == ["primary", "primary"]


def test_basic_auth_names_the_source_or_nobody() -> None:
    known = table(f"primary: {OLD}\nbackup: {OTHER}")
    assert known.source_of(OLD.encode(), b"primary") == "primary"
    assert known.source_of(OLD.encode(), b"") == "primary"
    assert known.source_of(OLD.encode(), b"backup") is None
    only = SourceTable([Source("alertmanager", (OLD,), any_user=True)])
    assert only.source_of(OLD.encode(), b"whoever") == "alertmanager"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names no source"),
        ("# nobody\n", "names no source"),
        (OLD, "line 1 is not `name: token`"),
        (f"a: {OLD}\nUpper: {NEW}", "line 2 is not `name: token`"),
        (f"{'a' * 33}: {OLD}", "line 1 is not `name: token`"),
        (f"incidentd: {OLD}", "line 1 has a name that incidentd uses itself"),
        ("a:", "line 1 is empty"),
        ("a: short-canary", "line 1 is shorter than 16 characters"),
        ("a: changeme-changeme-1", "line 1 is still a placeholder"),
        (f"a: {OLD} t\u00f6ken-of-somebody-1", "line 1 holds a character"),
        (f"a: {OLD} {OLD}", "line 1 holds the same value twice"),
        ("a: " + " ".join(f"{OLD}{n}" for n in range(5)), "line 1 holds more than 4 values"),
        (f"a: {OLD}\nb: {OLD}", "gives two sources the same token"),
        ("\n".join(f"a{n}: {OLD}{n}" for n in range(MOST_SOURCES + 1)), "names more than 32 sources"),
    ],
)
def test_an_unsound_list_is_refused_by_line_and_shows_no_token(text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"INCIDENTD_WEBHOOK_TOKENS": text})
    assert str(refused.value).startswith(f"INCIDENTD_WEBHOOK_TOKENS {fault}")
    assert not [word for word in text.split()[1:] if len(word) > 8 and word in str(refused.value)]


def admission(path: Path, **more: str) -> Admission:
    environ = {"INCIDENTD_WEBHOOK_TOKENS_FILE": str(path), **more}
    return Admission(load_settings(environ), environ)


def write(path: Path, text: str, second: int) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (second, second))


def test_a_token_is_replaced_without_a_restart(tmp_path: Path) -> None:
    write(tmp_path / "tokens", f"primary: {OLD}", 1)
    admitted = admission(tmp_path / "tokens", INCIDENTD_WEBHOOK_TOKEN=OTHER)
    assert admitted.refresh() is None
    write(tmp_path / "tokens", f"primary: {OLD} {NEW}\nbackup: {NEW}x", 2)
    assert admitted.refresh() is not None
    assert admitted.names == ("alertmanager", "primary", "backup")
    assert [admitted.source_of(token.encode()) for token in (OLD, NEW)] == ["primary", "primary"]
    write(tmp_path / "tokens", f"primary: {NEW}", 3)
    admitted.refresh()
    assert admitted.source_of(OLD.encode()) is None
    assert admitted.source_of(NEW.encode()) == "primary"
    assert admitted.source_of(OTHER.encode()) == "alertmanager"


@pytest.mark.parametrize("text", ["primary short-canary", "", None])
def test_an_unsound_file_is_refused_once_and_the_tokens_before_stay(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "tokens"
    write(path, f"primary: {OLD}", 1)
    admitted = admission(path)
    if text is None:
        path.unlink()
    else:
        write(path, text, 2)
    with pytest.raises(SettingsError, match="INCIDENTD_WEBHOOK_TOKENS") as refused:
        admitted.refresh()
    assert "canary" not in str(refused.value)
    assert admitted.refresh() is None
    assert admitted.source_of(OLD.encode()) == "primary"


def test_no_log_line_may_show_a_token_of_any_source_but_their_names() -> None:
    environ = {
        "INCIDENTD_WEBHOOK_TOKENS": f"primary: {OLD} {NEW}\nbackup: {OTHER}",
        "INCIDENTD_SLACK_SIGNING_SECRET": "the-first-secret-1 the-second-secret-2",
    }
    hidden = set(hidden_values(load_settings(environ), environ, ()))
    assert {OLD, NEW, OTHER, "the-first-secret-1", "the-second-secret-2"} <= hidden
    assert not {"primary", "primary:", "backup:"} & hidden
