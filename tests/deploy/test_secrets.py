"""`make secrets`."""

import stat
import subprocess
from pathlib import Path

from tests.deploy.conftest import make_secrets
from tests.deploy.dockerfile import ROOT


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    first, second = (contents(make_secrets(tmp_path / name)) for name in ("first", "second"))
    assert set(first) == set(second)
    filled = {name for name, value in first.items() if value and "://sandbox:" not in value}
    assert [name for name in filled if first[name] == second[name]] == []
    assert all(len(first[name]) >= 32 for name in filled)


def test_whoever_needs_one_password_twice_has_the_same(secrets: Path) -> None:
    made = contents(secrets)
    assert f":{made['postgres_password']}@postgres:5432/" in made["database_url"]
    word, password = made["redis_auth"].split()
    assert word == "requirepass"
    assert f":{password}@redis:6379/" in made["redis_url"]


def test_a_second_time_overwrites_nothing_and_makes_what_is_missing(secrets: Path) -> None:
    (secrets / "slack_bot_token").write_text("xoxb-of-the-user")
    (secrets / "api_token").unlink()
    before = contents(secrets)
    make_secrets(secrets)
    after = contents(secrets)
    assert {name: after[name] for name in before} == before
    assert len(after["api_token"]) >= 32


def test_it_says_what_is_to_be_filled_in_and_no_value(secrets: Path) -> None:
    done = subprocess.run([ROOT / "deploy/make-secrets", secrets], capture_output=True, text=True, check=True)
    named = {Path(line.split()[-1]).name for line in done.stdout.splitlines()}
    assert named == {name for name, value in contents(secrets).items() if not value}
    assert not [value for value in contents(secrets).values() if value and value.strip() in done.stdout + done.stderr]


def test_containers_can_read_the_files_and_other_users_of_the_host_cannot_reach_them(secrets: Path) -> None:
    (secrets / "api_token").chmod(0o600)
    make_secrets(secrets)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.rglob("*") if file.is_file()} == {0o644}


def test_they_are_kept_out_of_the_repository_and_of_the_image() -> None:
    assert "/deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8").split()
    assert "!deploy" not in (ROOT / ".dockerignore").read_text("utf-8")
