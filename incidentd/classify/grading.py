"""``tiers.yaml``: what each tier asks, the order of the tables, severities, and what names an incident."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from incidentd.classify.naming import Naming
from incidentd.classify.section import Ledger, Section, open_file
from incidentd.classify.severity import Severities
from incidentd.classify.span import parse_response, parse_span
from incidentd.policy import ResponseTime
from incidentd.tier import Tier

NEVER = "never"
MOST_OFTEN = timedelta(minutes=1)
"""How often updates may come at the most."""


@dataclass(frozen=True, slots=True)
class TierSpec:
    """What a tier means. ``acknowledgement`` None: an acknowledgement never lapses."""

    description: str
    response: ResponseTime
    acknowledgement: timedelta | None


@dataclass(frozen=True, slots=True)
class Grading:
    """The whole file. ``known`` names alerts of known systems, ``generic`` all others."""

    tables: tuple[str, ...]
    tables_line: int
    tiers: Mapping[Tier, TierSpec]
    severities: Severities
    known: Naming
    generic: Naming


def read_grading(text: str, ledger: Ledger) -> Grading:
    """The file; with faults noted, whatever could be understood of it."""
    file = open_file(text, ledger).only("tables", "tiers", "severity", "key")
    tables = file.texts("tables")
    if not tables:
        file.complain("tables must name the table files in their order", "tables")
    key = (file.section("key", required=True) or Section({}, 1, Ledger(ledger.file))).only(
        "system", "slo", "also", "generic"
    )
    known = _naming(key)
    return Grading(
        tables=tables,
        tables_line=file.fields["tables"].line if file.has("tables") else 1,
        tiers=_tiers(file),
        severities=_severities(file),
        known=known,
        generic=Naming(known.system, known.slo, (*known.also, *key.texts("generic"))),
    )


def response(section: Section, default: ResponseTime | None = None) -> ResponseTime:
    """The field ``response``: ``5m``, ``1 business day`` or ``none``."""
    if default is not None and not section.has("response"):
        return default
    value = section.text("response")
    found = parse_response(value)
    if value and found is None:
        section.complain(f"response {value!r} is no time such as 15m or 1 business day, nor none", "response")
    return found or ResponseTime()


def acknowledgement(section: Section, default: timedelta | None) -> timedelta | None:
    """The field ``acknowledgement``: how long one lasts, or ``never`` when it doesn't lapse."""
    value = section.text("acknowledgement", "")
    if not value:
        return default
    found = parse_span(value)
    if value != NEVER and not found:
        section.complain(f"acknowledgement {value!r} is no duration such as 30m, nor never", "acknowledgement")
    return found or None


def updates(section: Section, default: timedelta | None) -> timedelta | None:
    """The field ``updates``: how often what holds is said again, or ``never``."""
    value = section.text("updates", "")
    if not value:
        return default
    found = None if value == NEVER else parse_span(value)
    if value != NEVER and (found is None or found < MOST_OFTEN):
        section.complain(f"updates {value!r} is no duration such as 15m, of at least 1m, nor never", "updates")
        return default
    return found


def _tiers(file: Section) -> dict[Tier, TierSpec]:
    tiers = (file.section("tiers", required=True) or Section({}, 1, Ledger(file.ledger.file))).only(*Tier)
    found = {}
    for tier in Tier:
        section = tiers.section(tier, required=True, row=tier)
        if section:
            section.only("description", "response", "acknowledgement")
            if not section.has("acknowledgement"):
                section.complain("acknowledgement is missing")
            found[tier] = TierSpec(section.text("description"), response(section), acknowledgement(section, None))
    return found


def _severities(file: Section) -> Severities:
    section = file.section("severity", required=True)
    if section is None:
        return Severities({}, Tier.P2)
    tiers = {name: tier for name in section.fields if (tier := section.tier(name))}
    otherwise = tiers.pop("otherwise", None)
    if otherwise is None and not section.has("otherwise"):
        section.complain("otherwise is missing: the tier of any other severity, and of none")
    return Severities(tiers, otherwise or Tier.P2)


def _naming(key: Section) -> Naming:
    for name in ("system", "slo"):
        if key.line and not key.texts(name):
            key.complain(f"{name} must name at least one label", name)
    return Naming(key.texts("system"), key.texts("slo"), key.texts("also"))
