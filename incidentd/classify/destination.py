"""``destinations.yaml``: where things are told, and which variables hold the secrets."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from incidentd.classify.kind import Kind
from incidentd.classify.section import Ledger, Section, as_section, closest, open_file

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VARIABLE = re.compile(r"INCIDENTD_[A-Z0-9_]+")
_IN_HEADER = re.compile(r"\$\{([^}]*)\}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
_OURS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "host", "connection"})
_BUILT_IN_FIELDS = ("kind", "fallback", "optional", "per_minute", "burst", "one_by_one")
_MOST_ONE_BY_ONE = 100


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """One destination as the rules name it. ``secret_names`` are variables; the first one that is set counts.

    ``per_minute`` and ``burst`` bound how fast it may be told; 0 means no bound. Of new incidents ``one_by_one`` a
    minute are told each by itself, and those beyond in one digest; 0 means that all are told by themselves.
    ``address`` stands where the rules name no variable. ``further`` are variables of further secrets by field;
    ``headers`` may name variables as ``${INCIDENTD_…}``. ``optional``: nobody misses it while its variables are unset.
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
    address: str = ""
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    line: int = field(default=1, compare=False)

    @property
    def variables(self) -> frozenset[str]:
        """Every variable that it names."""
        named = [name for value in self.headers.values() for name in in_header(value)]
        return frozenset([*self.secret_names, *(name for names in self.further.values() for name in names), *named])

    def lacks(self, variables: Collection[str]) -> tuple[str, ...]:
        """What is missing where only these variables are set, each as the variables of which one is wanted."""
        wanted = [] if self.address else [self.secret_names]
        wanted += [*self.further.values(), *((name,) for value in self.headers.values() for name in in_header(value))]
        return tuple(" or ".join(names) for names in wanted if names and not any(name in variables for name in names))

    def is_in_doubt(self, variables: Collection[str]) -> bool:
        """Whether perhaps nobody is told there: it is optional, and lacks something where only these are set."""
        return self.optional and bool(self.lacks(variables))


def in_header(value: str) -> tuple[str, ...]:
    """The variables that a header's value names as ``${INCIDENTD_…}``."""
    return tuple(_IN_HEADER.findall(value))


def filled_in(value: str, secrets: Mapping[str, str]) -> str:
    """A header's value with secrets in the place of variables.

    Raises:
        KeyError: one is missing.
    """
    return _IN_HEADER.sub(lambda found: secrets[found[1]], value)


def read_destinations(
    text: str, ledger: Ledger, kinds: Mapping[str, Kind], templates: Mapping[str, str] = MappingProxyType({})
) -> dict[str, DestinationSpec]:
    """All destinations of the file, by name. ``templates`` are texts by the file's name."""
    file = open_file(text, ledger)
    found: dict[str, DestinationSpec] = {}
    sections: dict[str, Section] = {}
    for name, node in file.fields.items():
        section = as_section(node, name, ledger, name)
        if not NAME.fullmatch(name):
            ledger.add(node.line, "a destination's name is of small letters, digits and - _ .", name)
        elif section:
            found[name] = _destination(name, section, kinds, templates)
            sections[name] = section
    if not file.fields and not ledger.faults:
        ledger.add(file.line, "names no destination")
    for name, spec in found.items():
        _check_fallback(spec, found, sections[name])
    return found


def _destination(
    name: str, section: Section, kinds: Mapping[str, Kind], templates: Mapping[str, str]
) -> DestinationSpec:
    kind = kinds.get(section.choice("kind", kinds))
    if kind is None:
        return DestinationSpec(name, "", pages=False, secret_names=(), line=section.line)
    per_minute = section.number("per_minute", 0, least=0)
    headers = ("headers",) if kind.headers else ()
    section.only(*_BUILT_IN_FIELDS, kind.held_by, *kind.options, *kind.further, *kind.templates, *headers)
    address = _address(section, kind)
    options = {option: value for option in kind.options if (value := _option(section, option, kind))}
    return _checked(
        DestinationSpec(
            name=name,
            kind=section.text("kind"),
            pages=kind.pages,
            secret_names=() if address else _secret_names(section, kind.held_by, kind.secret_names),
            options=options | _templates(section, kind, templates),
            fallback=section.text("fallback", "") or None,
            per_minute=per_minute,
            burst=section.number("burst", 0, least=0),
            one_by_one=_one_by_one(section, kind, per_minute),
            address=address,
            further={each: names for each in kind.further if (names := _further(section, each))},
            headers=_headers(section) if kind.headers else {},
            optional=section.choice("optional", ("true", "false"), "false") == "true",
            line=section.line,
        ),
        section,
    )


def _checked(spec: DestinationSpec, section: Section) -> DestinationSpec:
    """What only fields together show."""
    updates = [each for each in ("update_url", "update_template", "update_method") if section.has(each)]
    if updates and not section.has("reference"):
        section.complain(f"{updates[0]} counts only together with reference", updates[0])
    elif updates and not section.has("update_url"):
        section.complain(f"{updates[0]} counts only together with update_url", updates[0])
    update = spec.options.get("update_url", "")
    if update and "{reference}" not in update:
        section.complain("update_url holds no {reference}, where the receiver's own goes in", "update_url")
    elif set("{}") & set(update.removeprefix("{url}").replace("{reference}", "")):
        section.complain(
            "update_url holds braces other than those of {url} at its beginning and {reference}", "update_url"
        )
    if spec.optional and not spec.variables:
        section.complain("optional counts only where a variable is named: this one always is there", "optional")
    return spec


def _address(section: Section, kind: Kind) -> str:
    """What stands there in a variable's place; empty where a variable does."""
    if kind.address is None or not section.has(kind.held_by):
        return ""
    given = section.lines(kind.held_by)
    if len(given) != 1 or VARIABLE.fullmatch(given[0][1]) or "://" not in given[0][1]:
        return ""
    if kind.address.pattern.fullmatch(given[0][1]):
        return given[0][1]
    # Not shown: a password may stand in it.
    section.complain(f"{kind.held_by} is not {kind.address.hint}", kind.held_by)
    return "unusable"


def _headers(section: Section) -> dict[str, str]:
    if not section.has("headers"):
        return {}
    found: dict[str, str] = {}
    for name, value in section.names("headers").items():
        wrong = [each for each in in_header(value) if not VARIABLE.fullmatch(each)]
        if not _HEADER.fullmatch(name) or name.lower() in _OURS:
            section.complain(f"headers: {name[:100]!r} is no header's name, or incidentd's own", "headers")
        elif wrong or "${" in _IN_HEADER.sub("", value) or not _HEADER_VALUE.fullmatch(value):
            section.complain(
                f"headers: {name}: a value is plain text on one line, and names a secret as ${{INCIDENTD_…}}", "headers"
            )
        elif name.lower() in map(str.lower, found):
            section.complain(f"headers names {name!r} twice", "headers")
        else:
            found[name] = value
    return found


def _templates(section: Section, kind: Kind, templates: Mapping[str, str]) -> dict[str, str]:
    """The texts of the templates that it names, and what each of them makes."""
    found: dict[str, str] = {}
    for each in kind.templates:
        name = section.text(each, "")
        if name and name not in templates:
            section.complain(f"{each} {name[:100]!r} is no file of templates/{closest(name, templates)}", each)
        elif name:
            found |= {each: templates[name], f"{each}_file": name}
    return found


def _one_by_one(section: Section, kind: Kind, per_minute: int) -> int:
    """Who has to wait for a limit may be told in a digest: without ``per_minute`` nobody waits."""
    given = section.number("one_by_one", kind.one_by_one, least=0, most=_MOST_ONE_BY_ONE)
    if not kind.one_by_one and given:
        section.complain(f"{section.text('kind')} can't tell several incidents in one message", "one_by_one")
    if section.has("one_by_one") and given and not per_minute:
        section.complain("one_by_one counts only together with per_minute", "one_by_one")
    return given if per_minute else 0


def _secret_names(section: Section, held_by: str, default: tuple[str, ...]) -> tuple[str, ...]:
    if not section.has(held_by) and not default:
        section.complain(f"{held_by} is missing")
    return _further(section, held_by) or default


def _further(section: Section, name: str) -> tuple[str, ...]:
    """The variables that a field names."""
    names = section.texts(name)
    for each in names:
        if not VARIABLE.fullmatch(each):
            # The value is not shown: it may be the secret itself.
            section.complain(f"{name} must name a variable INCIDENTD_…, never hold the secret", name)
    return names


def _option(section: Section, name: str, kind: Kind) -> str:
    """Its text; several are apart by line breaks."""
    option = kind.options[name]
    if option.several:
        before, values = len(section.ledger.faults), section.texts(name)
        if not section.has(name):
            section.complain(f"{name} is missing")
        elif not values and len(section.ledger.faults) == before:
            section.complain(f"{name} is empty", name)
    else:
        values = tuple(filter(None, [section.text(name, None if option.required else "")]))
    for value in values:
        if not option.pattern.fullmatch(value):
            section.complain(f"{name} {value[:100]!r} is not {option.hint}", name)
            return ""
    return "\n".join(values)


def _check_fallback(spec: DestinationSpec, found: Mapping[str, DestinationSpec], section: Section) -> None:
    if spec.fallback is None:
        return
    if spec.fallback not in found:
        section.complain(f"fallback {spec.fallback!r} is no destination{closest(spec.fallback, found)}", "fallback")
    elif spec.fallback == spec.name:
        section.complain("fallback is the destination itself", "fallback")
    elif found[spec.fallback].pages:
        section.complain(f"fallback {spec.fallback!r} pages: a fallback is a place where people read", "fallback")
