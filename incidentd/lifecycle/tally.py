"""What deliveries came to, in numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from incidentd.lifecycle.parcel import Parcel
from incidentd.lifecycle.record import Result
from incidentd.meter import Meter
from incidentd.store.deliveries import Outcome


def tally(meter: Meter, deliveries: Sequence[tuple[Result, Outcome]], mark: timedelta) -> None:
    """Count recorded deliveries. ``mark`` is what a cursor's ``behind_since`` is later than its news."""
    for result, outcome in deliveries:
        parcel = result.parcel
        # A destination that is gone from the rules is of no kind.
        channel = parcel.destination.kind if parcel.destination else ""
        meter.deliveries.add(channel, outcome.name.lower())
        began = news_since(parcel, mark)
        if outcome is Outcome.ACCEPTED and began is not None:
            meter.acceptance.observe(max(0.0, (result.ended_at - began).total_seconds()), channel)


def news_since(parcel: Parcel, mark: timedelta) -> datetime | None:
    """The instant of the oldest news that this delivery was late for; None where it tells none.

    A destination that joins late is told older entries too: it did not have to know them when they were written.
    """
    entries, behind_since = parcel.news.entries, parcel.cursor.behind_since
    if not entries:
        return None
    if behind_since is None:
        return entries[-1].at
    return next((entry.at for entry in entries if entry.at >= behind_since - mark), entries[-1].at)
