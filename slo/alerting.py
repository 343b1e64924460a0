"""Alert rules: one for each threshold, with an alertname of its own, and the labels that the rules table reads."""

import re
from collections.abc import Mapping
from typing import Any

from slo.source import AlertSpec, Condition, Source, recorded

VALUE = '{{ $value | printf "%.4f" | reReplaceAll "\\\\.?0+$" "" }}'
"""Never with an exponent, without zeros at the end."""


def alert_groups(source: Source) -> list[dict[str, Any]]:
    """The group of a system's alert rules."""
    return [{"name": f"{source.system}-alerts", "rules": [_rule(source, each) for each in source.alerts]}]


def annotations(source: Source, alert: AlertSpec) -> dict[str, str]:
    """The annotations, with ``{name}`` in place of a label and ``{value}`` of the number."""
    return {
        "summary": alert.summary,
        "description": describe(source, alert),
        "value": "{value}",
        "runbook_url": source.runbook,
        "dashboard_url": source.dashboard,
    }


def describe(source: Source, alert: AlertSpec) -> str:
    """What fired, in words that a person checks against the document."""
    slo = alert.of.get("slo", "{slo}")
    lasts = f" for {alert.lasts}" if alert.lasts else ""
    still = f" and {_words(alert.still.labels)} is {alert.still.when}" if alert.still else ""
    return f"{source.system}, objective {slo}: {_words(alert.of)} is {alert.when}{lasts}{still}."


def added(alert: AlertSpec) -> dict[str, str]:
    """The labels that the rule adds to those of the series."""
    return {"severity": alert.severity, **({"window": alert.lasts} if alert.lasts and _is_named(alert) else {})}


def _is_named(alert: AlertSpec) -> bool:
    return "window" not in alert.of


def _rule(source: Source, alert: AlertSpec) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": _expression(source, alert)}
    if alert.lasts:
        rule["for"] = alert.lasts
    return {
        **rule,
        "labels": added(alert),
        "annotations": {name: _template(text) for name, text in annotations(source, alert).items()},
    }


def _expression(source: Source, alert: AlertSpec) -> str:
    expr = _compare(source.system, alert.of, alert.where, alert.when)
    if alert.still is None:
        return expr
    labels = {**{name: text for name, text in alert.of.items() if name not in ("sli", "window")}, **alert.still.labels}
    return f"{expr} and ignoring(sli, window) {_compare(source.system, labels, (), alert.still.when)}"


def _compare(system: str, of: Mapping[str, str], where: tuple[str, ...], when: Condition) -> str:
    matchers = [f'{name}="{text}"' for name, text in {"system": system, **of}.items() if name != "sli"]
    return f"{recorded(of['sli'])}{{{','.join([*matchers, *where])}}} {when}"


def _template(text: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: VALUE if found[1] == "value" else f"{{{{ $labels.{found[1]} }}}}", text)


def _words(labels: Mapping[str, str]) -> str:
    window = f" of {labels['window']}" if "window" in labels else ""
    return labels["sli"] + window
