"""Each page that PagerDuty accepted, beside what incidentd recorded of it: judged request by request.

A page may come once more for each request that was in flight when its sender was stopped. What was recorded as accepted
is told again only ten seconds after a takeover (model 36).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from incidentd.lifecycle.record import ECHO_AFTER
from tests.machine import Span, stood_still

CLOCKS_APART = timedelta(seconds=1)
"""PostgreSQL's clock, as far as a process knows it, may be behind: an attempt then ends before its request came."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that incidentd recorded as accepted. ``upto`` is the last entry that its sender knew."""

    upto: int
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """One that was accepted. ``attempt`` None: whoever sent it did not come to record that."""

    at: datetime
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a sender may hold a page back, how long it waits for an answer, and when the machine stood still."""

    lease: timedelta
    http: timedelta
    standstills: Sequence[Span] = ()

    def was_cut_off(self, at: datetime) -> bool:
        """Whether the machine stood still, so that no answer came in time."""
        return stood_still(self.standstills, at - self.lease, at + self.lease) >= self.http / 2

    def holds_until(self, since: datetime, until: datetime) -> datetime:
        """Until when what was decided at an instant may be sent."""
        return since + self.lease + stood_still(self.standstills, since, until)


def matched(accepted: Sequence[datetime], recorded: Sequence[Attempt]) -> list[Request]:
    """The requests of one page, each with its attempt; an attempt is one request's alone."""
    left = sorted(recorded, key=lambda each: each.began_at)
    found = []
    for at in sorted(accepted):
        own = next((each for each in left if each.began_at <= at <= each.ended_at + CLOCKS_APART), None)
        left = [each for each in left if each is not own]
        found.append(Request(at, own))
    return found


def repeated(page: Sequence[Request], in_flight: int, patience: Patience) -> Iterator[str]:
    """What is wrong with the copies of one page, of which so many requests were in flight when a sender was stopped."""
    lost = [each for each in page if each.attempt is None and not patience.was_cut_off(each.at)]
    if len(lost) > in_flight:
        yield f"was accepted {len(lost)} times without a record, with {in_flight} requests in flight"
    kept = sorted((each.attempt for each in page if each.attempt), key=lambda each: each.began_at)
    again = [later.began_at >= earlier.ended_at + ECHO_AFTER for earlier, later in pairwise(kept)]
    if not all(again) or len(again) > max(1, in_flight):
        yield "was sent again although it was recorded as accepted"


def late(page: Sequence[Request], answer: int, answered_at: datetime, patience: Patience) -> Iterator[str]:
    """What is wrong with requests that came after the answer, the entry of that number.

    The entries' order decides, as far as a request was recorded; and no sender holds back what it knows for longer than
    a lease. Of what nobody recorded only the time is known.
    """
    for request in page:
        attempt = request.attempt
        since = attempt.began_at if attempt else answered_at
        if attempt and attempt.upto >= answer:
            yield f"was paged after it was answered: by who knew of entry {attempt.upto}, the answer being {answer}"
        elif request.at > max(answered_at, patience.holds_until(since, request.at)):
            yield f"was paged after it was answered: {request.at - answered_at} later"
