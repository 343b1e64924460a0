"""A job's report over HTTP: who may, what it is answered, and that it is stored before that."""

import pytest

from incidentd.errors import StoreUnavailableError
from tests.web.client import Client
from tests.web.fake import HEARTBEAT_TOKEN, WEBHOOK_TOKEN, FakeRuntime

PATH = "/api/v1/heartbeats/backup"


def test_a_job_reports_with_the_token_that_is_for_nothing_else(client: Client, runtime: FakeRuntime) -> None:
    client.headers["Authorization"] = f"Bearer {HEARTBEAT_TOKEN}"
    answer = client.post(PATH)
    assert (answer.status_code, answer.json()) == (200, {"name": "backup", "status": "heard"})
    assert [webhook.signs for webhook in runtime.webhooks] == [("backup",)]
    assert client.get("/api/v1/incidents").status_code == 401
    assert client.post("/-/reload").status_code == 401


def test_who_may_use_the_api_may_report(api: Client) -> None:
    assert api.post(PATH).status_code == 200


def test_whatever_the_job_says_with_it_is_not_looked_at(api: Client) -> None:
    assert api.post(PATH, content=b"exit 0\n\xff").status_code == 200


@pytest.mark.parametrize("token", ["", WEBHOOK_TOKEN, HEARTBEAT_TOKEN[:-1]])
def test_a_stranger_learns_nothing_and_nothing_is_stored(client: Client, runtime: FakeRuntime, token: str) -> None:
    client.headers["Authorization"] = f"Bearer {token}"
    assert client.post(PATH).status_code == 401
    assert client.post("/api/v1/heartbeats/nobody").status_code == 401
    assert runtime.webhooks == []


@pytest.mark.parametrize("name", ["nobody", "Backup", "%00", "a" * 2000])
def test_a_name_that_nobody_expects_is_a_problem(api: Client, name: str) -> None:
    answer = api.post(f"/api/v1/heartbeats/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "the rules expect no job of this name to report"


def test_what_can_not_be_stored_has_to_be_sent_again(api: Client, runtime: FakeRuntime) -> None:
    runtime.failure = StoreUnavailableError("away")
    assert api.post(PATH).status_code == 503


def test_another_method_is_refused(api: Client) -> None:
    assert api.get(PATH).status_code == 405
