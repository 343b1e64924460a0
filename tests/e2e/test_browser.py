"""What people do in a browser."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.browser import Browser
from tests.e2e.notification import notification
from tests.e2e.up import EXAMPLE, Up


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


def test_people_acknowledge_on_the_page_and_in_slack(make_up: Callable[..., Up], browser: Browser) -> None:
    up = make_up().start()
    example = json.loads(EXAMPLE.read_text())
    assert up.post(example).status_code == 200

    browser.open(up.printed(r"pages         (\S+)"))
    browser.sees("1 open", "triggered")
    browser.click(f"//a[contains(., '{example['alerts'][0]['annotations']['summary']}')]")
    browser.sees("Why P0", "availability 99.4 < 99.5", "Who was told")
    browser.write("//input[@name='actor']", "Dana Cole")
    browser.click("//button[.='Acknowledge']")
    browser.sees("acknowledged\nby Dana Cole", "Take over")
    incident = up.incident("core-api")
    assert incident is not None
    assert (incident["state"], incident["acknowledged_by"]) == ("acknowledged", "Dana Cole")

    assert up.post(notification("wallet-success")).status_code == 200
    browser.open(f"{up.url}/sandbox/")
    browser.sees("wallet-success is down")
    browser.click("//select[@name='user']/option[.='Chi Tanaka']")
    browser.click("//div[contains(@class, 'message')][contains(., 'wallet-success is down')]//button[.='Acknowledge']")
    browser.sees("Chi Tanaka pressed Acknowledge", "Acknowledged by chi.tanaka")

    browser.open(f"{up.url}/?state=acknowledged")
    browser.click("//a[contains(., 'wallet-success is down')]")
    browser.sees("acknowledged\nby chi.tanaka")
    assert browser.complaints() == []
