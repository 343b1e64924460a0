"""(d), (h): from the webhook to the page at the receiver, the receivers' limits off."""

import time
from collections.abc import Sequence

from bench import forking, load
from bench.database import Fresh
from bench.installation import Installation, installation, percentile
from bench.notification import distinct, fresh, notification, requests
from bench.result import Result

IDLE = 200
IDLE_SECONDS = 0.1
BUSY = 1_000
BUSY_SECONDS = 0.02
STORM = 5_000
GROUP = 100
_WARM = 50


def measure(fresh_database: Fresh) -> list[Result]:
    """(d) and (h)."""
    with fresh_database() as url, installation(url, limited=False) as here:
        _one_by_one(here, _WARM, IDLE_SECONDS)
        idle = _one_by_one(here, IDLE, IDLE_SECONDS)
        busy = _one_by_one(here, BUSY, BUSY_SECONDS)
    with fresh_database() as url, installation(url, limited=False) as here:
        _one_by_one(here, _WARM, IDLE_SECONDS)
        storm = _storm(here)
    # One that has nothing else to do: the storm's cards are still being sent.
    with fresh_database() as url, installation(url, limited=False) as here:
        yardstick = forking.rate(here)
    ratio = storm / yardstick
    return [
        _latency("webhook to page accepted, idle", idle, (12, 25)),
        _latency("webhook to page accepted, 50 new incidents a second", busy, (None, 60)),
        Result(
            "h",
            "5,000 new incidents at once, against one forking RQ worker that commits a row for each page",
            f"{ratio:.0f} ({storm:,.0f} against {yardstick:,.0f} pages a second)",
            "≥ 20",
            ratio >= 20,
        ),
    ]


def _one_by_one(here: Installation, how_many: int, pause: float) -> list[float]:
    """Milliseconds from sending each webhook, at a steady beat, to its page."""
    sent: dict[int, float] = {}
    connection = load.Line(here.port)
    begun = time.monotonic()
    for position, number in enumerate(fresh(how_many)):
        (request,) = requests([notification(distinct([number]))])
        time.sleep(max(0.0, begun + position * pause - time.monotonic()))
        sent[number] = time.monotonic()
        connection.send(request)
    connection.close()
    accepted = here.receiver.wait_for(sent)
    return [(accepted[number] - at) * 1000 for number, at in sent.items()]


def _storm(here: Installation) -> float:
    """Pages accepted per second, counted from the first webhook to the last page."""
    numbers = fresh(STORM)
    bodies = [notification(distinct(numbers[start : start + GROUP])) for start in range(0, STORM, GROUP)]
    prepared = list(requests(bodies))
    begun = time.monotonic()
    load.send(here.port, prepared)
    accepted = here.receiver.wait_for(numbers)
    return STORM / (max(accepted[number] for number in numbers) - begun)


def _latency(what: str, milliseconds: Sequence[float], most: tuple[float | None, float]) -> Result:
    p50, p99 = percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)
    target = f"p99 < {most[1]:g}" if most[0] is None else f"p50 < {most[0]:g}, p99 < {most[1]:g}"
    met = p99 < most[1] and (most[0] is None or p50 < most[0])
    return Result("d", what, f"p50 {p50:.1f}, p99 {p99:.1f} ms", f"{target} ms", met)
