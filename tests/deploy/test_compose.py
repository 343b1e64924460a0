"""What the compose files promise: sound, hardened, without a secret in them, and with settings that incidentd knows."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from incidentd.classify import load
from incidentd.cli.part import refuse_missing
from incidentd.cli.start import strict_settings
from incidentd.errors import SettingsError
from incidentd.keyring import Keyring
from incidentd.process.supervisor import STOP_SECONDS
from incidentd.settings import describe, load_settings
from tests.deploy.composition import MAIN, SANDBOX, SECRETS, Service, compose, seconds, strings
from tests.deploy.dockerfile import ROOT

COMBINATIONS = {"alone": (MAIN,), "with the sandbox": (MAIN, SANDBOX)}
SERVICES = compose(MAIN, SANDBOX).services
OURS = ("migrate", "web", "worker")
CREDENTIALS = {
    "INCIDENTD_PAGERDUTY_ROUTING_KEY",
    "INCIDENTD_PAGERDUTY_ROUTING_KEY_MANAGER",
    "INCIDENTD_PAGERDUTY_ROUTING_KEY_CTO",
    "INCIDENTD_SLACK_BOT_TOKEN",
    "INCIDENTD_SLACK_SIGNING_SECRET",
}

RULES = load(ROOT / "rules")
OF_ALERTMANAGER = {"INCIDENTD_ALERTMANAGER_URL", "INCIDENTD_ALERTMANAGER_TOKEN"}
"""The Alertmanager here has a fixed address, and asks nobody who they are."""
OF_THE_SANDBOX = {"INCIDENTD_PAGERDUTY_WEBHOOK_SECRET", *RULES.secret_names}

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
each_combination = pytest.mark.parametrize("files", COMBINATIONS.values(), ids=COMBINATIONS)


@each_combination
def test_the_files_are_sound(files: tuple[Path, ...]) -> None:
    """By the Compose Specification's schema, and by Docker itself where it is installed."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    assert_runs([*check, *map(str, files)])
    docker = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*docker, "version"], capture_output=True, check=False).returncode == 0
    ):
        assert_runs([*docker, *(word for file in files for word in ("--file", str(file))), "config", "--quiet"])


@each_service
def test_no_service_is_root_or_may_become_it(service: Service) -> None:
    user, group = service.raw["user"].split(":")
    assert (user.isdecimal(), group.isdecimal(), "0" in (user, group)) == (True, True, False)
    assert service.raw["cap_drop"] == ["ALL"]
    assert "cap_add" not in service.raw
    assert service.raw["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "devices", "network_mode"} & set(service.raw)


@each_service
def test_no_service_writes_anywhere_but_into_its_volumes(service: Service) -> None:
    assert service.raw["read_only"] is True
    assert {mount.mode for mount in service.mounts if not mount.is_volume} <= {"ro"}


@each_service
def test_no_service_can_fill_the_machine(service: Service) -> None:
    options = service.raw["logging"]["options"]
    assert {"max-size", "max-file"} <= set(options)
    assert service.raw["mem_limit"]
    assert service.raw["pids_limit"]


@each_service
def test_every_service_comes_back_and_says_how_it_is(service: Service) -> None:
    runs_once = service.name == "migrate"
    assert service.raw["restart"] == ("no" if runs_once else "unless-stopped")
    assert bool(service.test) is not runs_once
    for name, how in service.raw.get("depends_on", {}).items():
        once = SERVICES[name].raw["restart"] == "no"
        assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")


@each_service
def test_every_image_is_pinned_to_a_version(service: Service) -> None:
    _, _, tag = service.raw["image"].partition(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+|\d+\.\d+(\.\d+)?-bookworm", tag)


@each_service
def test_ports_are_published_on_loopback_only(service: Service) -> None:
    published = service.raw.get("ports", [])
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    for port in published:
        first, _, last = port.split(":")[1].partition("-")
        assert int(last or first) - int(first) + 1 >= service.replicas


@each_service
def test_every_mounted_path_exists_and_every_volume_is_declared(service: Service) -> None:
    declared = compose(MAIN, SANDBOX).raw["volumes"]
    for mount in service.mounts:
        assert mount.source in declared if mount.is_volume else (ROOT / mount.source).exists()


def test_the_readme_names_every_published_address() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("## On many machines")[2].partition("\n## ")[0]
    named = {int(port) for port in re.findall(r"<http://127\.0\.0\.1:(\d+)>", section)}
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.raw.get("ports", [])]
    ranges = [[int(end) for end in each.split("-")] for each in published]
    assert named == {port for ends in ranges for port in range(ends[0], ends[-1] + 1)}


def test_web_and_workers_run_more_than_once() -> None:
    assert {name: SERVICES[name].replicas for name in ("web", "worker")} == {"web": 2, "worker": 2}


def test_whoever_stops_is_given_time_to_finish_what_is_being_sent() -> None:
    assert seconds(SERVICES["worker"].raw["stop_grace_period"]) > STOP_SECONDS
    assert seconds(SERVICES["web"].raw["stop_grace_period"]) > load_settings({}).http_seconds


def test_databases_are_out_of_reach_from_outside() -> None:
    composition = compose(MAIN, SANDBOX)
    assert composition.raw["networks"]["store"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert composition.services[name].raw["networks"] == ["store"]
        assert "ports" not in composition.services[name].raw


@each_combination
def test_no_secret_stands_in_the_file_or_in_an_argument(files: tuple[Path, ...], secrets: Path) -> None:
    composition = compose(*files)
    made = [file.read_text().strip() for file in secrets.rglob("*") if file.is_file()]
    text = "\n".join(file.read_text("utf-8") for file in files)
    assert not [value for value in made if value and value in text]
    for service in composition.services.values():
        named = {name for name in service.environment if re.search("PASSWORD|TOKEN|SECRET|_KEY|DATABASE_URL", name)}
        assert {name for name in named if not name.endswith("_FILE")} == set()
        assert not [text for text in strings(service.raw) if re.search(r"://[^/ ]*:[^/ ]*@", text)]
        files_of = [value for name, value in service.environment.items() if name.endswith("_FILE")]
        assert {Path(value).name for value in files_of} <= set(service.secrets)
        assert {str(Path(value).parent) for value in files_of} <= {SECRETS}


@each_combination
def test_every_secret_that_is_mounted_is_made(files: tuple[Path, ...], secrets: Path) -> None:
    composition = compose(*files)
    used = {name for service in composition.services.values() for name in service.secrets}
    assert used == set(composition.secret_files)
    for file in composition.secret_files.values():
        assert (secrets / Path(file).relative_to("deploy/secrets")).is_file()


@pytest.mark.parametrize("name", OURS)
def test_incidentd_knows_every_setting_and_lacks_none(name: str, secrets: Path) -> None:
    settings = strict_settings(environ(compose(MAIN, SANDBOX).services[name], secrets / "sandbox", secrets))
    refuse_missing(settings)
    assert settings.database_url.startswith("postgresql+psycopg://incidentd:")
    assert (settings.redis_url or "").endswith("@redis:6379/0")


@pytest.mark.parametrize("name", OURS)
def test_every_variable_that_the_shipped_rules_name_gets_to_those_who_use_it(name: str) -> None:
    """What need not be set is passed on where the user sets it; the sandbox sets each of them."""
    alone, tried = compose(MAIN).services[name], compose(MAIN, SANDBOX).services[name]
    wanted = {f"{each}_FILE" for each in RULES.secret_names}
    assert wanted - alone.passed <= set(alone.environment)
    assert wanted <= set(tried.environment)
    assert {each.removesuffix("_FILE").removeprefix("INCIDENTD_").lower() for each in wanted} <= set(alone.secrets)
    assert "INCIDENTD_SHADOW_RULES" in alone.passed
    assert "/etc/incidentd/shadow" in {mount.target for mount in alone.mounts}


@pytest.mark.parametrize("name", OURS)
def test_every_secret_that_incidentd_can_use_can_be_given_as_a_file(name: str, secrets: Path) -> None:
    alone = compose(MAIN).services[name]
    usable = {each.name for each in describe() if each.secret} - OF_ALERTMANAGER
    assert {f"{each}_FILE" for each in usable} <= alone.passed | set(alone.environment)
    files = {each.removeprefix("INCIDENTD_").lower() for each in usable}
    assert files <= set(alone.secrets)
    assert files <= {file.name for file in secrets.iterdir()}


@pytest.mark.parametrize("name", OURS)
def test_with_the_sandbox_every_destination_of_the_shipped_rules_is_set_up_and_none_is_real(
    name: str, secrets: Path
) -> None:
    given = environ(compose(MAIN, SANDBOX).services[name], secrets / "sandbox", secrets)
    settings = strict_settings(given)
    keyring = Keyring(settings, given)
    sandbox = SERVICES["sandbox"]
    (listen,) = [each.partition(":")[2] for each in sandbox.command if each.startswith("--listen=")]
    (mail,) = [each.partition(":")[2] for each in sandbox.command if each.startswith("--mail=")]
    for spec in RULES.destinations.values():
        found = keyring.destination(spec)
        assert found, spec.name
        if spec.kind == "email":
            assert found.secret == f"smtp+plain://sandbox:{mail}/sandbox"
        if spec.kind == "webhook":
            assert found.secret == f"http://sandbox:{listen}/sandbox/webhook/{spec.name}"


def test_what_need_not_be_set_stops_no_start(secrets: Path) -> None:
    """Its files are there, and empty."""
    for name in (each.removeprefix("INCIDENTD_").lower() for each in CREDENTIALS):
        (secrets / name).write_text(f"the-users-own-{name}")
    strict_settings(environ(compose(MAIN).services["migrate"], secrets, secrets))


def test_a_credential_that_nobody_filled_in_stops_the_start_and_is_named(secrets: Path) -> None:
    """In `migrate`, which all others wait for: so it is said once."""
    with pytest.raises(SettingsError) as refused:
        strict_settings(environ(compose(MAIN).services["migrate"], secrets, secrets))
    assert {line.split()[0] for line in str(refused.value).splitlines()} == CREDENTIALS
    assert all("is empty" in line for line in str(refused.value).splitlines())


def environ(service: Service, credentials: Path, secrets: Path) -> Mapping[str, str]:
    """The service's environment with its files where they are here."""
    found = {}
    for name, value in service.environment.items():
        folder = credentials if name.removesuffix("_FILE") in CREDENTIALS | OF_THE_SANDBOX else secrets
        found[name] = value.replace(SECRETS, str(folder)).replace("/etc/incidentd/rules", str(ROOT / "rules"))
    return found


def assert_runs(argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
