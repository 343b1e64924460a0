"""promtool tests of the alert rules: within, at and beyond each threshold, just before and just after its time.

The series are those that the recording rules make, so that each value is exactly the one that is meant.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slo.alerting import added, annotations
from slo.source import AlertSpec, Condition, Source, plain, recorded

_MARGIN = 5
"""So many minutes longer than its time each value lasts: what doesn't fire in that time doesn't fire."""
_WHOLE = {"ms", "count", "bool", "kilobytes", "days"}


def tests_of(source: Source) -> list[dict[str, Any]]:
    """The tests of all alerts of a system."""
    return [test for alert in source.alerts for sample in alert.samples for test in _tests(source, alert, sample)]


def _tests(source: Source, alert: AlertSpec, sample: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    values, fires = _phases(alert)
    lasts = alert.minutes + _MARGIN
    labels = {"system": source.system, **alert.of, **sample}
    begin = fires.index(True) * lasts
    end = fires.count(True) * lasts + begin
    series = [_series(labels, [*((each, lasts) for each in values), (values[0], 2)])]
    named = ", ".join(sample.values())
    asked = [(begin - 1, None), (begin + alert.minutes, values[fires.index(True)]), (end - 1, values[-1]), (end, None)]
    if alert.minutes:
        asked.insert(1, (begin + alert.minutes - 1, None))
    if alert.still:
        still = {**{k: v for k, v in labels.items() if k != "window"}, **alert.still.labels}
        series.append(_series(still, [(alert.still.when.limit, end + 2)]))
        over = _series(still, [(_beside(alert.still.when, alert.still.labels["sli"], -1), end + 2)])
        yield _test(
            source,
            alert,
            labels,
            f"{named or alert.still.labels['window']} is over",
            [series[0], over],
            [(end - 1, None)],
        )
    yield _test(source, alert, labels, named, series, asked)


def _phases(alert: AlertSpec) -> tuple[list[float], list[bool]]:
    """The values within, at and beyond the threshold, and which of them fire."""
    when, sli = alert.when, alert.of["sli"]
    values = [_beside(when, sli, -1), when.limit, _beside(when, sli, +1)]
    fires = [False, when.operator.endswith("="), True]
    return (values[:2], fires[:2]) if sli == "outage" else (values, fires)


def _beside(when: Condition, sli: str, towards: int) -> float:
    """The nearest value, ``towards`` +1 on the side that fires."""
    step = 1 if recorded(sli).rpartition(":")[2] in _WHOLE or sli == "review_time" else 0.01
    return round(when.limit + (towards if when.operator.startswith(">") else -towards) * step, 4)


def _series(labels: Mapping[str, str], phases: list[tuple[float, int]]) -> dict[str, str]:
    written = ",".join(f'{name}="{text}"' for name, text in labels.items())
    return {
        "series": f"{recorded(labels['sli'])}{{{written}}}",
        "values": " ".join(f"{plain(value)}+0x{lasts - 1}" for value, lasts in phases),
    }


def _test(
    source: Source,
    alert: AlertSpec,
    labels: Mapping[str, str],
    named: str,
    series: list[dict[str, str]],
    asked: list[tuple[int, float | None]],
) -> dict[str, Any]:
    return {
        "name": f"{alert.name}{f' ({named})' if named else ''}: {alert.when}" + _for(alert),
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [_asked(source, alert, labels, minute, value) for minute, value in asked],
    }


def _for(alert: AlertSpec) -> str:
    return f" for {alert.lasts}" if alert.lasts else ""


def _asked(
    source: Source, alert: AlertSpec, labels: Mapping[str, str], minute: int, value: float | None
) -> dict[str, Any]:
    asked: dict[str, Any] = {"eval_time": f"{minute}m", "alertname": alert.name, "exp_alerts": []}
    if value is not None:
        told = {**labels, **added(alert)}
        given = {**told, "value": plain(value)}
        written = {
            name: re.sub(r"{(\w+)}", lambda found: given[found[1]], text)
            for name, text in annotations(source, alert).items()
        }
        asked["exp_alerts"] = [{"exp_labels": told, "exp_annotations": written}]
    return asked
