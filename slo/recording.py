"""Recording rules: the share of what failed in each window, and the indicators that alerts look at.

Every indicator is rounded to four places, which is what alerts print. So a value never reads as if it were on the other
side of the threshold than the one that it fired on.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from incidentd.classify.span import parse_span
from incidentd.objective import Objective
from slo.source import PERIOD, Derived, Indicator, Source, plain, recorded

RATIO = "slo:error:ratio"
_ASKED = "[5m]"
_LONG = timedelta(days=1)


def recording_groups(source: Source) -> list[dict[str, Any]]:
    """The groups of a system's recording rules; within one they are evaluated in order."""
    rules = [*_ratios(source), *_derived(source), *_measured(source)]
    return [{"name": f"{source.system}-indicators", "rules": rules}]


def _ratios(source: Source) -> Iterator[dict[str, Any]]:
    for objective in source.objectives:
        for window in _windows(source, objective):
            yield _record(RATIO, _ratio(objective, window), source, objective.name, {"window": window})


def _windows(source: Source, objective: Objective) -> list[str]:
    windows = {
        window
        for derived in source.derived
        if objective in source.followed(derived)
        for window in (_window(derived, objective), *_also(derived, objective))
    }
    return sorted(windows, key=lambda window: (_span(window), window))


def _window(derived: Derived, objective: Objective) -> str:
    return objective.written if derived.over == PERIOD else derived.over


def _also(derived: Derived, objective: Objective) -> tuple[str, ...]:
    return (objective.written,) if derived.sli == "breach_eta" else ()


def _ratio(objective: Objective, window: str) -> str:
    """Bad by total. Where nothing was asked there is no ratio; where no failure was ever counted it is 0."""
    good, bad, total = (
        each.replace(_ASKED, f"[{window}]") for each in (objective.good, objective.bad, objective.total)
    )
    if bad:
        return f"(({bad}) or 0 * ({total})) / (({total}) > 0)"
    return f"1 - (({good}) or 0 * ({total})) / (({total}) > 0)"


def _derived(source: Source) -> Iterator[dict[str, Any]]:
    for derived in source.derived:
        for objective in source.followed(derived):
            labels = {"sli": derived.sli, "window": _label(derived)}
            yield _record(recorded(derived.sli), _rounded(_formula(derived, objective, source)), source,
                          objective.name, labels)  # fmt: skip


def _label(derived: Derived) -> str:
    """Burn and budget are told apart by their window. An empty label is none: the rest have the document's window."""
    named = derived.sli in ("budget_consumed", "over_target", "burn_rate") and derived.over != PERIOD
    return derived.over if named and not derived.unlabelled else ""


def _formula(derived: Derived, objective: Objective, source: Source) -> str:
    window = _window(derived, objective)
    ratio = _series(RATIO, source.system, objective.name, window)
    budget = plain(1 - objective.target)
    match derived.sli:
        case "availability" | "pass_rate":
            return f"100 * (1 - {ratio})"
        case "error_rate" | "over_target":
            return f"100 * {ratio}"
        case "outage":
            return f"{ratio} > bool 0.999999"
        case "burn_rate":
            return f"{ratio} / {budget}"
        case "daily_budget_consumed":
            return f"100 * {ratio} / {budget}"
        case "budget_consumed":
            share = _span(window) / objective.window
            return f"100 * {ratio} / {budget}" + ("" if share == 1 else f" * {_hours(window)} / {_of(objective)}")
        case "breach_eta":
            used = _series(RATIO, source.system, objective.name, objective.written)
            return f"clamp_min(1 - {used} / {budget}, 0) * {_of(objective)} / ignoring(window) ({ratio} / {budget} > 0)"
        case _:
            raise ValueError(f"{derived.sli} can't be derived")


def _measured(source: Source) -> Iterator[dict[str, Any]]:
    for each in (*source.indicators, *_everywhere(source)):
        labels = {"sli": each.sli, **each.labels}
        yield _record(recorded(each.sli), _rounded(each.expr), source, each.slo, labels)


def _everywhere(source: Source) -> Iterator[Indicator]:
    """An outage in every region that there is, is one everywhere: the same series without a region."""
    for derived in source.derived:
        for objective in source.followed(derived):
            if derived.sli == "outage" and "by (region)" in objective.total:
                each = f'{recorded("outage")}{{system="{source.system}",slo="{objective.name}",region!=""}}'
                yield Indicator(objective.name, "outage", f"min({each})")


def _rounded(expr: str) -> str:
    return f"round({expr}, 0.0001)"


def _series(name: str, system: str, slo: str, window: str) -> str:
    return f'{name}{{system="{system}",slo="{slo}",window="{window}"}}'


def _record(name: str, expr: str, source: Source, slo: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"record": name, "expr": " ".join(expr.split()), "labels": {"system": source.system, "slo": slo, **labels}}


def _span(window: str) -> timedelta:
    span = parse_span(window)
    if not span:
        raise ValueError(f"{window!r} is no window")
    return span


def _hours(window: str) -> str:
    return plain(_span(window).total_seconds() / 3600)


def _of(objective: Objective) -> str:
    return plain(objective.window.total_seconds() / 3600)
