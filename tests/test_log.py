import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import pytest
import structlog

from incidentd.process import log
from incidentd.process.redaction import LONGEST, Redactor

CANARY = "canary/+secret=value"
LOGGER: structlog.stdlib.BoundLogger = structlog.get_logger()


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hooks = list(root.handlers), root.level, (sys.excepthook, threading.excepthook)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    log.configure("INFO", [CANARY], stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_and_level(stream: io.StringIO) -> None:
    LOGGER.info("page_accepted", incident="i1", took_ms=9)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "page_accepted", "level": "info", "incident": "i1", "took_ms": 9}


class _Counting(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return super().write(text)


def test_what_is_logged_together_is_written_at_once_and_in_its_order(stream: io.StringIO) -> None:
    counting = _Counting()
    log.configure("INFO", stream=counting)
    with log.together():
        for number in range(100):
            LOGGER.info("delivery", number=number)
        assert counting.written == []
    assert len(counting.written) == 1
    LOGGER.info("delivery", number=100)
    assert [line["number"] for line in lines(counting)] == list(range(101))
    assert not stream.getvalue()


def test_what_is_logged_together_is_written_though_it_ends_in_an_error(stream: io.StringIO) -> None:
    with suppress(ValueError), log.together():
        LOGGER.info("delivery")
        raise ValueError
    assert len(lines(stream)) == 1


def test_others_do_not_wait_for_what_is_logged_together(stream: io.StringIO) -> None:
    with log.together():
        other = threading.Thread(target=lambda: LOGGER.info("other"))
        other.start()
        other.join()
        assert [line["event"] for line in lines(stream)] == ["other"]


@pytest.mark.parametrize(
    "text",
    [
        f"the key is {CANARY}.",
        f"https://x.example/?key={quote(CANARY, safe='')}",
        "xoxb-1234-5678-canary",
        "xapp-1-A1-canary",
        "postgresql://user:canary@db/x",
        "rediss://:canary@cache",
        "https://hooks.slack.com/services/T1/B1/canary",
        "Authorization: Bearer canary0123",
        "authorization=Token token=canary0123",
        'body was {"routing_key": "canary", "x": 1}',
        "GET /?token=canary&x=1",
        "x-slack-signature: v0=canary",
        "https://x.example/?api_key=canary",
        "X-Api-Key: canary0123",
        "postgresql://user:p@canary@db/x",
        f"GET /{quote(CANARY)}",
        "x" * (LONGEST - 10) + CANARY,
        "x" * (LONGEST - 20) + "rediss://:canary@cache",
    ],
)
def test_no_secret_is_logged_wherever_it_stands(stream: io.StringIO, text: str) -> None:
    LOGGER.info("event", text=text, deep={"a": [text, (text,)]}, error=ValueError(text), raw=text.encode())
    LOGGER.info(text)
    logging.getLogger("library").warning("it said %s", text)
    LOGGER.error("failed", exc_info=ValueError(text))
    assert len(lines(stream)) == 4
    assert "canary" not in stream.getvalue()


@pytest.mark.parametrize("write", [repr, json.dumps, lambda secret: repr(secret.encode())])
def test_a_secret_is_known_however_it_is_written(write: Callable[[str], str]) -> None:
    secret = "cänary'\"\\end"
    assert "nary" not in Redactor([secret]).text(f"it said {write(secret)}")


@pytest.mark.parametrize(
    "key", ["Authorization", "token", "api_token", "api_key", "routing_key", "X-Slack-Signature", "password"]
)
def test_what_stands_under_a_secrets_name_is_hidden(stream: io.StringIO, key: str) -> None:
    LOGGER.info("event", headers={key: "anything", "tokens": 3})
    assert lines(stream)[0]["headers"] == {key: "[redacted]", "tokens": 3}


def test_nothing_that_an_alert_says_breaks_a_line(stream: io.StringIO) -> None:
    hostile = 'a\nb\r\x1b[31m\u202edrowssap\u2028\x00\ud800{"event":"forged"}'
    LOGGER.info("event", label=hostile, **{"key\n\u202e": 1})
    assert stream.getvalue().isascii()
    (line,) = lines(stream)
    assert line["label"] == hostile


def test_the_console_shows_control_and_direction_characters_as_escapes() -> None:
    stream = io.StringIO()
    log.configure("INFO", [CANARY], console=True, stream=stream)
    LOGGER.info("event\n\x1b[31m", label="\u202edrowssap", key=CANARY)
    assert stream.getvalue().count("\n") == 1
    assert "\x1b[31m" not in stream.getvalue()
    assert "\\u202edrowssap" in stream.getvalue().replace("\\\\", "\\")
    assert "canary" not in stream.getvalue()


def test_libraries_log_the_same_way_but_without_their_chatter(stream: io.StringIO) -> None:
    logging.getLogger("httpx").info("GET https://api.example/?secret")
    logging.getLogger("some.library").info("Started %d", 1)
    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == ("Started 1", "some.library")


def test_less_urgent_than_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    log.configure("WARNING", stream=stream)
    LOGGER.info("quiet")
    LOGGER.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_crashes_and_warnings_are_events_too(stream: io.StringIO) -> None:
    def crash() -> None:
        raise ValueError(CANARY)

    thread = threading.Thread(target=crash, name="sender")
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(CANARY), None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"about {CANARY}", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    events = lines(stream)
    assert [line["event"] for line in events][:2] == ["thread_crashed", "crashed"]
    assert events[0]["thread"] == "sender"
    assert events[2]["logger"] == "py.warnings"
    assert "canary" not in stream.getvalue()


def test_a_huge_value_is_cut(stream: io.StringIO) -> None:
    LOGGER.info("event", body="x" * 1_000_000)
    assert len(stream.getvalue()) < 20_000


def full_disk() -> TextIO:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    return Path("/dev/full").open("w", buffering=1)


def pipe_that_nobody_reads() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


@pytest.mark.parametrize("opened", [full_disk, pipe_that_nobody_reads])
def test_whoever_logs_goes_on_where_nothing_can_be_written(opened: Callable[[], TextIO]) -> None:
    stream = opened()
    try:
        log.configure(stream=stream)
        LOGGER.error("page_failed")
    finally:
        with suppress(OSError):
            stream.close()
