"""The application around a runtime of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from incidentd.web.app import create_app
from tests.web.client import Client
from tests.web.fake import API_TOKEN, FakeRuntime, opened_store


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[FakeRuntime]:
    store = opened_store(f"sqlite:///{tmp_path}/web.db")
    yield FakeRuntime(store)
    store.close()


@pytest.fixture
def client(runtime: FakeRuntime) -> Iterator[Client]:
    """A stranger."""
    with Client(create_app(runtime)) as opened:
        yield opened


@pytest.fixture
def api(client: Client) -> Client:
    """A program with the API token."""
    client.headers["Authorization"] = f"Bearer {API_TOKEN}"
    return client


@pytest.fixture
def person(client: Client) -> Client:
    """A person who is signed in."""
    client.headers["Origin"] = "http://testserver"
    client.headers["Accept"] = "text/html"
    assert client.post("/sign-in", data={"token": API_TOKEN}).status_code == 303
    return client
