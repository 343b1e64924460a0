"""The list of all incidents that one message of a storm stands for."""

import re
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from incidentd.incident.slot import Slot
from incidentd.store import cursors
from incidentd.store.tables import CURSORS
from incidentd.tier import Tier
from tests.web.client import Client
from tests.web.fake import NOW, FakeRuntime, keep
from tests.web.test_pages import HTML, fired

DIGEST, OTHER = "755e3c4e-f3b0-48ec-899c-9da5b24b3b53", "b24d167e-7587-582e-8db2-28af9d5d80e5"
IN_IT = 3


@pytest.fixture
def stormy(runtime: FakeRuntime) -> FakeRuntime:
    """Three incidents that share a message, one that shares another, and one by itself."""
    for number, digest in enumerate([*[DIGEST] * IN_IT, OTHER, None]):
        name = keep(runtime.store, fired(), title=f"{'shared' if digest == DIGEST else 'apart'} {number}")
        runtime.store.write(lambda tx, name=name, digest=digest: _join(tx, name, digest))  # type: ignore[misc]
    return runtime


def test_the_api_lists_those_of_one_message(api: Client, stormy: FakeRuntime) -> None:
    found = api.get(f"/api/v1/incidents?digest={DIGEST}").json()["incidents"]
    assert sorted(each["title"] for each in found) == ["shared 0", "shared 1", "shared 2"]
    assert api.get(f"/api/v1/incidents?digest={uuid4()}").json()["incidents"] == []
    both = api.get(f"/api/v1/incidents?digest={DIGEST}&state=resolved").json()["incidents"]
    assert both == []


def test_the_page_lists_them_says_so_and_keeps_to_them(person: Client, stormy: FakeRuntime) -> None:
    page = person.get(f"/?digest={DIGEST}&limit=2", headers=HTML).text
    assert "Only incidents that one message of a storm stands for." in page
    assert f'<input type="hidden" name="digest" value="{DIGEST}">' in page
    more = re.search(r'href="(/\?[^"]*cursor=[^"]*)"', page)
    assert more is not None
    rest = person.get(more[1].replace("&amp;", "&"), headers=HTML).text
    titles = re.findall(r"(?:shared|apart) \d", page + rest)
    assert {*titles} == {"shared 0", "shared 1", "shared 2"}


@pytest.mark.parametrize("digest", ["x", "%3Cscript%3E", "a" * 37, DIGEST.upper()])
def test_what_is_no_digest_is_400(api: Client, person: Client, digest: str) -> None:
    assert api.get(f"/api/v1/incidents?digest={digest}").status_code == 400
    assert person.get(f"/?digest={digest}", headers=HTML).status_code == 400


def _join(tx: Connection, incident_id: str, digest: str | None) -> None:
    cursors.open_slots(tx, [(incident_id, Tier.P1, Slot("incidents", "e1", paging=False))], NOW)
    tx.execute(sa.update(CURSORS).where(CURSORS.c.incident_id == incident_id).values(digest=digest, turn=1))
