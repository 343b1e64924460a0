from pathlib import Path

import pytest

from incidentd.errors import SettingsError
from incidentd.settings import Settings, describe, hidden_values, load_settings, rules_folder

STRONG = "0123456789abcdef-canary"


def refusal(environ: dict[str, str], extra_names: tuple[str, ...] = ()) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ, extra_names)
    assert STRONG not in str(refused.value)
    return str(refused.value)


def test_an_empty_environment_gives_a_sqlite_file_no_redis_and_loopback() -> None:
    settings = load_settings({"PATH": "/bin"})
    assert settings.database_url == "sqlite:///var/incidentd.db"
    assert settings.redis_url is None
    assert settings.rules == Path("rules")
    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 8080)
    assert settings.base_url == "http://127.0.0.1:8080"
    assert (settings.lease_seconds, settings.tick_seconds, settings.http_seconds) == (30, 0.1, 10)
    assert settings.workers() == {"page": 2, "escalate": 2, "tell": 1}


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("INCIDENTD_WEBHOOK_TOKEN", "", "is empty"),
        ("INCIDENTD_WEBHOOK_TOKEN", "changeme", "placeholder"),
        ("INCIDENTD_API_TOKEN", "please-CHANGE-ME-now-please", "placeholder"),
        ("INCIDENTD_API_TOKEN", "<your-token-goes-here>", "placeholder"),
        ("INCIDENTD_API_TOKEN", "short-canary", "shorter than 16"),
        ("INCIDENTD_API_TOKEN", "with a space in its middle", "no header can carry"),
        ("INCIDENTD_API_TOKEN", "nächtlicher-wecker-42", "no header can carry"),
        ("INCIDENTD_DATABASE_URL", "mysql://root:canary@h/x", "is not a sqlite:/// or postgresql:// address"),
        ("INCIDENTD_REDIS_URL", "http://canary", "is not a redis://"),
        ("INCIDENTD_LISTEN", "8080", "is not host:port"),
        ("INCIDENTD_LISTEN", "127.0.0.1:70000", "is not host:port"),
        ("INCIDENTD_RULES", "", "is empty"),
        ("INCIDENTD_PUBLIC_URL", "incidents.example.org", "is not an http://"),
        ("INCIDENTD_LOG_LEVEL", "canary", "is none of DEBUG, INFO, WARNING, ERROR"),
        ("INCIDENTD_ALERTMANAGER_URL", "", "is not 1 to 8 addresses"),
        ("INCIDENTD_ALERTMANAGER_URL", "am.canary:9093", "is not an http:// or https:// address"),
        ("INCIDENTD_ALERTMANAGER_URL", "ftp://am.canary", "is not an http:// or https:// address"),
        ("INCIDENTD_ALERTMANAGER_URL", "http://am:9093 canary", "is not an http:// or https:// address"),
        ("INCIDENTD_ALERTMANAGER_URL", "http://canary@am:9093", "each without or with both user and password"),
        ("INCIDENTD_ALERTMANAGER_URL", "http://am:canary", "whose port is no number"),
        ("INCIDENTD_ALERTMANAGER_URL", "http://user:canary/1@am:9093", "whose port is no number"),
        ("INCIDENTD_ALERTMANAGER_URL", " ".join(f"http://canary-{n}" for n in range(9)), "is not 1 to 8 addresses"),
        ("INCIDENTD_TICK_SECONDS", "3", "is not a number above 0 up to 0.5"),
        ("INCIDENTD_TICK_SECONDS", "canary", "is not a number above 0 up to 0.5"),
        ("INCIDENTD_LEASE_SECONDS", "0", "is not a number above 0 up to 300"),
        ("INCIDENTD_WORKERS_PAGE", "-1", "is not a whole number from 0 up to 64"),
        ("INCIDENTD_WORKERS_PAGE", "canary", "is not a whole number from 0 up to 64"),
    ],
)
def test_a_wrong_value_refuses_the_start_and_is_named_but_not_shown(name: str, value: str, cause: str) -> None:
    refused = refusal({name: value})
    assert refused.startswith(f"{name} ")
    assert cause in refused
    assert "canary" not in refused


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("http://127.0.0.1:9093", ("http://127.0.0.1:9093",)),
        ("http://a:9093, https://b/am/\nhttp://a:9093", ("http://a:9093", "https://b/am/")),
        ("http://incidentd:a-password@a:9093/", ("http://incidentd:a-password@a:9093/",)),
        ("http://[::1]:9093", ("http://[::1]:9093",)),
        (" ".join(f"http://am-{n}" for n in range(8)), tuple(f"http://am-{n}" for n in range(8))),
    ],
)
def test_alertmanagers_are_named_by_their_addresses_each_once(given: str, addresses: tuple[str, ...]) -> None:
    assert load_settings({"INCIDENTD_ALERTMANAGER_URL": given}).alertmanagers() == addresses


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("INCIDENTD_WEBHOK_TOKEN", "INCIDENTD_WEBHOOK_TOKEN"),
        ("INCIDENTD_WEBHOOK_TOKEN_FIEL", "INCIDENTD_WEBHOOK_TOKEN_FILE"),
        ("INCIDENTD_ROUTING_KEY_DATABASES", "INCIDENTD_ROUTING_KEY_DATABASE"),
    ],
)
def test_a_misspelt_name_is_named_with_the_closest_known_one(name: str, closest: str) -> None:
    assert refusal({name: STRONG}, ("INCIDENTD_ROUTING_KEY_DATABASE",)) == (
        f"{name} is no setting; did you mean {closest}?"
    )


@pytest.mark.parametrize(("lease", "http"), [("19", None), ("3", "1.6"), (None, "15.1")])
def test_a_lease_that_two_requests_could_outlast_is_refused(lease: str | None, http: str | None) -> None:
    given = {"INCIDENTD_LEASE_SECONDS": lease, "INCIDENTD_HTTP_SECONDS": http}
    refused = refusal({name: value for name, value in given.items() if value})
    assert refused == "INCIDENTD_HTTP_SECONDS is more than half of INCIDENTD_LEASE_SECONDS"


@pytest.mark.parametrize(("lease", "http"), [("20", "10"), ("3", "1"), ("2", "1")])
def test_a_lease_of_two_requests_is_fine(lease: str, http: str) -> None:
    settings = load_settings({"INCIDENTD_LEASE_SECONDS": lease, "INCIDENTD_HTTP_SECONDS": http})
    assert settings.lease_seconds >= 2 * settings.http_seconds


def test_what_rules_name_is_hidden_wherever_it_stands(tmp_path: Path) -> None:
    for name in ("named", "ours", "token"):
        (tmp_path / name).write_text(f"{name}-in-a-file-canary\n")
    environ = {
        "INCIDENTD_ROUTING_KEY_MANAGER": "manager-canary-0123",
        "INCIDENTD_ROUTING_KEY_CTO_FILE": str(tmp_path / "ours"),
        "INCIDENTD_API_TOKEN_FILE": str(tmp_path / "token"),
        "TEAM_A": "team-a-canary-01234",
        "TEAM_B_FILE": str(tmp_path / "named"),
        "TEAM_C_FILE": str(tmp_path / "nowhere"),
    }
    hidden = hidden_values(load_settings(environ, None), environ, ["TEAM_A", "TEAM_B", "TEAM_C", "TEAM_D"])
    assert set(hidden) >= {
        "manager-canary-0123",
        "ours-in-a-file-canary",
        "token-in-a-file-canary",
        "team-a-canary-01234",
        "named-in-a-file-canary",
    }


def test_names_that_the_rules_name_are_settings_and_so_are_their_files() -> None:
    names = ("INCIDENTD_ROUTING_KEY_DATABASE",)
    load_settings({names[0]: STRONG}, names)
    load_settings({names[0] + "_FILE": "/run/secrets/key"}, names)


def test_a_child_process_leaves_the_check_of_names_to_its_parent() -> None:
    assert load_settings({"INCIDENTD_LATER_NAMED_BY_THE_RULES": STRONG}, None).rules == Path("rules")


def test_all_faults_are_told_at_once() -> None:
    assert len(refusal({"INCIDENTD_A": "1", "INCIDENTD_LISTEN": "x", "INCIDENTD_API_TOKEN": "x"}).splitlines()) == 3


def test_a_secret_can_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(STRONG + "\n")
    settings = load_settings({"INCIDENTD_WEBHOOK_TOKEN_FILE": str(file)})
    assert settings.webhook_token is not None
    assert settings.webhook_token.get_secret_value() == STRONG


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert refusal({"INCIDENTD_API_TOKEN_FILE": str(file)}).startswith("INCIDENTD_API_TOKEN_FILE can't be read")


def test_a_setting_and_its_file_together_are_refused(tmp_path: Path) -> None:
    environ = {"INCIDENTD_API_TOKEN": STRONG, "INCIDENTD_API_TOKEN_FILE": str(tmp_path / "x")}
    assert refusal(environ) == "INCIDENTD_API_TOKEN and INCIDENTD_API_TOKEN_FILE are both set"


def test_the_secrets_that_rules_name_are_read_and_the_unset_absent() -> None:
    secrets = Settings.secrets({"KEY_A": STRONG}, ["KEY_A", "KEY_B"])
    assert {name: secret.get_secret_value() for name, secret in secrets.items()} == {"KEY_A": STRONG}
    with pytest.raises(SettingsError, match="KEY_A is shorter"):
        Settings.secrets({"KEY_A": "short"}, ["KEY_A"])


def test_no_secret_shows_in_a_representation_and_each_is_known_for_redaction() -> None:
    settings = load_settings(
        {
            "INCIDENTD_API_TOKEN": STRONG,
            "INCIDENTD_DATABASE_URL": "postgresql://u:canary%2Fone@h/x",
            "INCIDENTD_REDIS_URL": "redis://:canarytwo@h",
        }
    )
    assert "canary" not in repr(settings)
    assert {STRONG, "canary/one", "canary%2Fone", "canarytwo"} <= set(settings.secret_values())
    assert settings.database_url.startswith("postgresql+psycopg://")


def test_the_rules_folder_is_known_before_the_rest() -> None:
    assert rules_folder({}) == Path("rules")
    assert rules_folder({"INCIDENTD_RULES": "/etc/incidentd", "INCIDENTD_UNKNOWN": "x"}) == Path("/etc/incidentd")
    with pytest.raises(SettingsError, match="INCIDENTD_RULES is empty"):
        rules_folder({"INCIDENTD_RULES": ""})


def test_an_ipv6_address_can_be_listened_on() -> None:
    settings = load_settings({"INCIDENTD_LISTEN": "[::1]:0", "INCIDENTD_PUBLIC_URL": "https://i.example.org/"})
    assert (settings.listen_host, settings.listen_port) == ("::1", 0)
    assert settings.base_url == "https://i.example.org"


def test_every_setting_is_described_and_secrets_are_marked() -> None:
    rows = {row.name: row for row in describe()}
    assert all(row.text for row in rows.values())
    assert rows["INCIDENTD_WEBHOOK_TOKEN"].secret
    assert rows["INCIDENTD_SLACK_SIGNING_SECRET"].secret
    assert not rows["INCIDENTD_LISTEN"].secret
    assert rows["INCIDENTD_LISTEN"].default == "127.0.0.1:8080"
    assert rows["INCIDENTD_REDIS_URL"].default == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://hc-ping.example.com/0f3c-canary",
        "https://alive.example.com/ping?key=canary",
        "http://127.0.0.1:9999/",
        "http://localhost/x",
        "http://[::1]:80/x",
    ],
)
def test_an_outsider_is_pinged_by_https_or_on_this_machine_and_his_address_is_a_secret(url: str) -> None:
    settings = load_settings({"INCIDENTD_HEARTBEAT_URL": url})
    assert settings.heartbeat_url is not None
    assert settings.heartbeat_url.get_secret_value() == url
    assert url not in repr(settings)
    assert url in settings.secret_values()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "canary",
        "http://alive.example.com/",
        "ftp://127.0.0.1/",
        "https://",
        "https://u:p@x.example/",
        "https://x/#a",
    ],
)
def test_any_other_address_of_an_outsider_is_refused_without_its_value(url: str) -> None:
    assert refusal({"INCIDENTD_HEARTBEAT_URL": url}) == "INCIDENTD_HEARTBEAT_URL is not an https:// address"
