"""Logs: one JSON line an event on stderr, from our code and from the libraries alike, without secrets.

Nothing that an alert says can break a line or colour a terminal: JSON escapes all that isn't ASCII, and the console's
form writes control and direction characters as escapes.
"""

import json
import logging
import sys
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from incidentd.process.redaction import Redactor

# Their INFO lines carry addresses, parameters or a line for each step of each job.
_TALKATIVE = ("httpx", "httpcore", "urllib3", "rq", "rq.worker", "rq.job", "rq.queue", "slack_sdk", "alembic")
_UNSAFE = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}


_redactor = Redactor()
_gathered: ContextVar[list[tuple["_Lasting", str]] | None] = ContextVar("gathered", default=None)


def configure(
    level: str = "INFO", secrets: Iterable[str] = (), *, console: bool = False, stream: TextIO | None = None
) -> None:
    """Set the process's logging up, in place of what was; standard logging, warnings and crashes included."""
    global _redactor
    _redactor = redactor = Redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    last = [_redaction(redactor), *_rendering(console=console)]
    # Ours are written directly: the way through standard logging costs more than all else that a webhook's line does.
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Lasting(stream or sys.stderr))),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    _replace_root_handlers(handler, level)
    sys.excepthook = _crash
    threading.excepthook = _thread_crash


def conceal(secrets: Iterable[str]) -> None:
    """Hide these too, from now on: they became known after the logging was set up."""
    _redactor.learn(secrets)


@contextmanager
def together() -> Iterator[None]:
    """What this thread logs in the block is written at its end, at once: a write costs more than a line."""
    lines: list[tuple[_Lasting, str]] = []
    token = _gathered.set(lines)
    try:
        yield
    finally:
        _gathered.reset(token)
        for stream, several in groupby(lines, key=itemgetter(0)):
            stream.write("".join(text for _, text in several))


class _Lasting:
    """A stream whose reader may be gone, or its disk full: the line is lost then, and whoever wrote it goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        gathered = _gathered.get()
        if gathered is not None:
            gathered.append((self, text))
            return
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def escape(text: str, keep: str = "") -> str:
    """``text`` with every control, direction, line-separating or unassigned character written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(character):04x}"
        if unicodedata.category(character) in _UNSAFE and character not in keep
        else character
        for character in text
    )


def _rendering(*, console: bool) -> list[Processor]:
    if console:
        return [_escape_event, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    # Redaction leaves nothing but JSON's own kinds.
    return [lambda _logger, _method, event: json.dumps(event)]


def _redaction(redactor: Redactor) -> Processor:
    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: redactor.entry(key, value) for key, value in event.items()}

    return redact


def _escape_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For the console: only a traceback may hold line breaks."""
    return {
        key: escape(value, keep="\n" if key == "exception" else "") if isinstance(value, str) else value
        for key, value in event.items()
    }


def _name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        event["logger"] = record.name
    return event


def _replace_root_handlers(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


def _crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))


def _thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        thread = crash.thread.name if crash.thread else ""
        structlog.get_logger().critical(
            "thread_crashed", thread=thread, exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback)
        )
