"""An RQ job that runs nothing but our own functions.

RQ imports and calls whatever a job in Redis names, its callbacks and webhooks included: whoever can write to Redis
would run code here. This class never imports anything.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job

from incidentd.errors import IncidentdError
from incidentd.incident.slot import PAGE, TELL
from incidentd.jobs import ESCALATE, FUNCTIONS, IDS_IN_A_JOB
from workers import job as jobs

LONGEST_ID = 64
_ID = re.compile(rf"[0-9A-Za-z_-]{{1,{LONGEST_ID}}}")
_ENVELOPE_BYTES = 1024
_LARGEST_BYTES = IDS_IN_A_JOB * (LONGEST_ID + 4) + _ENVELOPE_BYTES
"""No job of ours is larger: each id has its quotes, a comma and a space."""
_ALLOWED: dict[str, Callable[[Sequence[str]], None]] = {
    FUNCTIONS[PAGE]: jobs.page,
    FUNCTIONS[ESCALATE]: jobs.escalate,
    FUNCTIONS[TELL]: jobs.tell,
}


class ForeignJobError(IncidentdError):
    """A job that isn't one of ours, or not as ours are."""


class WakeUpJob(Job):
    """One of our three functions with one list of ids. Callbacks, webhooks, dependents and results don't exist."""

    def refresh(self) -> None:
        """Read what it is to do, and nothing else: a stranger may have filled all other fields with anything.

        Raises:
            NoSuchJobError: it is gone.
            ForeignJobError: it is larger than ours can be, packed or unpacked.
        """
        size: Any = self.connection.hstrlen(self.key, "data")
        if size > _LARGEST_BYTES:
            raise ForeignJobError("too large")
        data: Any = self.connection.hget(self.key, "data")
        if not data:
            raise NoSuchJobError(self.key)
        self.data = _unpacked(data)

    @property
    def func(self) -> Callable[[Sequence[str]], None]:
        """Our function of the job's name.

        Raises:
            ForeignJobError: the job names another function, or can't be read.
        """
        try:
            name, instance = self.func_name, self.instance
        except DeserializationError:
            raise ForeignJobError("unreadable") from None
        if not isinstance(name, str) or name not in _ALLOWED or instance is not None:
            raise ForeignJobError("unknown function")
        return _ALLOWED[name]

    def perform(self) -> None:
        """Run it. Touches no Redis: a job that dies in the middle leaves a hash that expires by itself.

        Raises:
            ForeignJobError: nothing was run.
        """
        self.func(self._ids())

    def _ids(self) -> list[str]:
        try:
            (ids,) = self.args
        except (TypeError, ValueError):
            raise ForeignJobError("not one argument") from None
        if self.kwargs or not isinstance(ids, list):
            raise ForeignJobError("not one list of ids")
        if len(ids) > IDS_IN_A_JOB:
            raise ForeignJobError("too many ids")
        if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
            raise ForeignJobError("not one list of ids")
        return ids

    @property
    def success_callback(self) -> None:
        """None: jobs have no callbacks."""
        return

    @property
    def failure_callback(self) -> None:
        """None: jobs have no callbacks."""
        return

    @property
    def stopped_callback(self) -> None:
        """None: jobs have no callbacks."""
        return

    def send_webhooks(self, *_args: Any, **_kwargs: Any) -> None:
        """Sends none."""


def _unpacked(data: bytes) -> bytes:
    """As RQ does it, but never more than a job of ours can be: a few bytes may unpack to gigabytes."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, _LARGEST_BYTES)
    except zlib.error:
        return data
    if not unpacker.eof:
        raise ForeignJobError("too large")
    return unpacked
