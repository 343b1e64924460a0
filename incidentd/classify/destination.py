"""``destinations.yaml``: where things are told, and which variables hold the secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from incidentd.classify.kind import Kind
from incidentd.classify.section import Ledger, Section, as_section, closest, open_file

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"INCIDENTD_[A-Z0-9_]+")
_BUILT_IN_FIELDS = ("kind", "fallback", "per_minute", "burst", "one_by_one")
_MOST_ONE_BY_ONE = 100


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """One destination as the rules name it. ``secret_names`` are variables; the first one that is set counts.

    ``per_minute`` and ``burst`` bound how fast it may be told; 0 means no bound. Of new incidents ``one_by_one`` a
    minute are told each by itself, and those beyond in one digest; 0 means that all are told by themselves.
    """

    name: str
    kind: str
    pages: bool
    secret_names: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    fallback: str | None = None
    per_minute: int = 0
    burst: int = 0
    one_by_one: int = 0
    line: int = field(default=1, compare=False)


def read_destinations(text: str, ledger: Ledger, kinds: Mapping[str, Kind]) -> dict[str, DestinationSpec]:
    """All destinations of the file, by name."""
    file = open_file(text, ledger)
    found: dict[str, DestinationSpec] = {}
    sections: dict[str, Section] = {}
    for name, node in file.fields.items():
        section = as_section(node, name, ledger, name)
        if not _NAME.fullmatch(name):
            ledger.add(node.line, "a destination's name is of small letters, digits and - _ .", name)
        elif section:
            found[name] = _destination(name, section, kinds)
            sections[name] = section
    if not file.fields and not ledger.faults:
        ledger.add(file.line, "names no destination")
    for name, spec in found.items():
        _check_fallback(spec, found, sections[name])
    return found


def _destination(name: str, section: Section, kinds: Mapping[str, Kind]) -> DestinationSpec:
    kind = kinds.get(section.choice("kind", kinds))
    if kind is None:
        return DestinationSpec(name, "", pages=False, secret_names=(), line=section.line)
    per_minute = section.number("per_minute", 0, least=0)
    section.only(*_BUILT_IN_FIELDS, kind.held_by, *kind.options)
    return DestinationSpec(
        name=name,
        kind=section.text("kind"),
        pages=kind.pages,
        secret_names=_secret_names(section, kind),
        options={option: value for option in kind.options if (value := _option(section, option, kind))},
        fallback=section.text("fallback", "") or None,
        per_minute=per_minute,
        burst=section.number("burst", 0, least=0),
        one_by_one=_one_by_one(section, kind, per_minute),
        line=section.line,
    )


def _one_by_one(section: Section, kind: Kind, per_minute: int) -> int:
    """Who has to wait for a limit may be told in a digest: without ``per_minute`` nobody waits."""
    given = section.number("one_by_one", kind.one_by_one, least=0, most=_MOST_ONE_BY_ONE)
    if not kind.one_by_one and given:
        section.complain(f"{section.text('kind')} can't tell several incidents in one message", "one_by_one")
    if section.has("one_by_one") and given and not per_minute:
        section.complain("one_by_one counts only together with per_minute", "one_by_one")
    return given if per_minute else 0


def _secret_names(section: Section, kind: Kind) -> tuple[str, ...]:
    names = section.texts(kind.held_by)
    if not section.has(kind.held_by) and not kind.secret_names:
        section.complain(f"{kind.held_by} is missing")
    for name in names:
        if not _VARIABLE.fullmatch(name):
            # The value is not shown: it may be the secret itself.
            section.complain(f"{kind.held_by} must name a variable INCIDENTD_…, never hold the secret", kind.held_by)
    return names or kind.secret_names


def _option(section: Section, name: str, kind: Kind) -> str:
    option = kind.options[name]
    value = section.text(name, None if option.required else "")
    if value and not option.pattern.fullmatch(value):
        section.complain(f"{name} {value[:100]!r} is not {option.hint}", name)
        return ""
    return value


def _check_fallback(spec: DestinationSpec, found: Mapping[str, DestinationSpec], section: Section) -> None:
    if spec.fallback is None:
        return
    if spec.fallback not in found:
        section.complain(f"fallback {spec.fallback!r} is no destination{closest(spec.fallback, found)}", "fallback")
    elif spec.fallback == spec.name:
        section.complain("fallback is the destination itself", "fallback")
    elif found[spec.fallback].pages:
        section.complain(f"fallback {spec.fallback!r} pages: a fallback is a place where people read", "fallback")
