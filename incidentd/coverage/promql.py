"""What a PromQL expression says of the labels and the value of its result, without any data.

It follows the labels through selectors, operators, aggregations and functions, as far as they are known without data;
what it doesn't follow it calls unknown, never absent. https://prometheus.io/docs/prometheus/latest/querying/operators/
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from incidentd.classify.condition import VALUE, Condition
from incidentd.classify.matcher import Matcher, MatcherError, parse_matcher
from incidentd.coverage.domain import ANYTHING, Domain, exactly

Recorded = Mapping[str, tuple[Mapping[str, str], ...]]

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<range>\[[^\]]*\])
    |(?P<number>(?:0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?)(?:[a-z]+(?:[0-9]+[a-z]+)*)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^<>=(){},@])""",
    re.VERBOSE,
)
_COMPARISONS = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
"""Each as it reads from the other side."""
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",), ("and", "unless"), tuple(_COMPARISONS), ("+", "-"), ("*", "/", "%", "atan2"), ("^",),
)  # fmt: skip
_SETS = ("or", "and", "unless")
_RIGHT = "group_right"
"""Whatever they match by, what they let through keeps its labels."""
_AGGREGATIONS = frozenset((
    "sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile",
    "limitk", "limit_ratio",
))  # fmt: skip
_KEEPING = frozenset(("topk", "bottomk", "limitk", "limit_ratio"))
_OPENING = {"(": ")", "{": "}"}
_RECORDED_BY_INCIDENTD = re.compile(r"sli:([a-z0-9_]+):[a-z]+")


class ExpressionError(ValueError):
    """A text that is no PromQL; says why."""


class Others(Enum):
    """The labels that nothing is said of: certainly absent, whatever the series has, or set by what was not read."""

    ABSENT = "absent"
    SERIES = "series"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of result. ``bounds`` are what its value satisfies; ``number`` is the value where that is fixed.

    ``always``: it is there whatever is measured.
    """

    facts: Mapping[str, Domain] = field(default_factory=dict)
    others: Others = Others.UNREAD
    bounds: tuple[Condition, ...] = ()
    number: float | None = None
    always: bool = False


def check_expression(expr: str) -> None:
    """Whether brackets, quotes and names stand as in PromQL.

    Raises:
        ExpressionError: they don't.
    """
    shapes_of(expr, {})


def shapes_of(expr: str, recorded: Recorded) -> tuple[Shape, ...]:
    """The kinds of result that an expression may have. ``recorded`` are the labels that recording rules set.

    Raises:
        ExpressionError: it is no PromQL.
    """
    parser = _Parser(list(_tokens(expr)), recorded)
    try:
        shapes = parser.level(0)
    except RecursionError:
        raise ExpressionError("brackets or signs are nested too deeply") from None
    if parser.next:
        raise ExpressionError(f"{parser.next[:40]!r} stands where an operator, or the end, was expected")
    return tuple(each for each in shapes if not any(domain.is_none for domain in each.facts.values()))


def _tokens(expr: str) -> Iterator[str]:
    at = 0
    while at < len(expr):
        found = _TOKEN.match(expr, at)
        if not found:
            closed = f"{expr[at]!r} is no PromQL" if expr[at] not in "\"'`" else "a quote is not closed"
            raise ExpressionError(closed)
        at = found.end()
        if found.lastgroup:
            yield found[0]


class _Parser:
    """Recursive descent, one method for each kind of thing."""

    def __init__(self, tokens: list[str], recorded: Recorded) -> None:
        self._tokens = tokens
        self._at = 0
        self._recorded = recorded

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    @property
    def _word(self) -> str:
        """The next token as a keyword, which may stand in capitals."""
        return self.next.lower()

    def level(self, number: int) -> tuple[Shape, ...]:
        """An operation of this precedence or of a higher one."""
        if number == len(_LEVELS):
            return self._unary()
        left = self.level(number + 1)
        while self._word in _LEVELS[number]:
            operator = self._take().lower()
            boolean, keep, many = self._modifiers()
            right = self.level(number + 1)
            joined = _joined(operator, left, right, boolean=boolean) if many != _RIGHT else _measured(right)
            left = joined if operator in _SETS else tuple(keep(each) for each in joined)
        return left

    def _take(self, *expected: str) -> str:
        token = self.next
        if expected and token not in expected:
            found = f"{token[:40]!r} stands" if token else "it ends"
            raise ExpressionError(f"{found} where {expected[0]!r} was expected")
        self._at += 1
        return token

    def _modifiers(self) -> tuple[bool, Callable[[Shape], Shape], str]:
        """``bool``, which labels are left after ``on`` or ``ignoring``, and on which side there may be many.

        Of the many each keeps all its labels, but for those that it is given from the other side.
        """
        boolean, many = False, ""
        keep: Callable[[Shape], Shape] = _unchanged
        while (word := self._word) in ("bool", "on", "ignoring", "group_left", _RIGHT):
            self._take()
            if word == "bool":
                boolean = True
            elif word in ("on", "ignoring"):
                names = self._names()
                keep = _keeping(names) if word == "on" else _dropping(names)
            else:
                many, given = word, self._names() if self.next == "(" else ()
                keep = _given(given) if given else _unchanged
        return boolean, keep, many

    def _names(self) -> tuple[str, ...]:
        self._take("(")
        found = []
        while self.next not in (")", ""):
            found.append(self._take().strip("\"'"))
            if self.next == ",":
                self._take()
        self._take(")")
        return tuple(found)

    def _unary(self) -> tuple[Shape, ...]:
        if self.next in ("-", "+"):
            sign = -1 if self._take() == "-" else 1
            return tuple(
                replace(each, bounds=(), number=None if each.number is None else sign * each.number)
                for each in self._unary()
            )
        shapes = self._primary()
        while self.next.startswith("[") or self._word in ("offset", "@"):
            if self._take().lower() in ("offset", "@"):
                if self.next in ("-", "+"):
                    self._take()
                self._take()
                if self.next == "(":
                    self._names()
        return shapes

    def _primary(self) -> tuple[Shape, ...]:
        first = self._take()
        if first == "(":
            shapes = self.level(0)
            self._take(")")
            return shapes
        if first == "{":
            self._at -= 1
            return self._selected("")
        if first[:1] in ('"', "'", "`") and first:
            return (Shape(others=Others.ABSENT, always=True),)
        if first[:1].isdigit() or first[:1] == ".":
            return (Shape(others=Others.ABSENT, number=_number(first), always=True),)
        if not re.match("[a-zA-Z_:]", first):
            found = f"{first!r} stands" if first else "it ends"
            raise ExpressionError(f"{found} where a metric, a number or a bracket was expected")
        return self._named(first)

    def _named(self, name: str) -> tuple[Shape, ...]:
        if name.lower() in _AGGREGATIONS and self._word in ("by", "without", "("):
            return self._aggregated(name.lower())
        if self.next == "(":
            return _called(name, self._arguments())
        if name.lower() in ("inf", "nan"):
            return (Shape(others=Others.ABSENT, always=True),)
        return self._selected(name)

    def _aggregated(self, name: str) -> tuple[Shape, ...]:
        keep = self._grouping()
        arguments = self._arguments()
        keep = keep or self._grouping()
        if not arguments:
            raise ExpressionError(f"{name}() aggregates nothing")
        shapes = arguments[-1]
        if name in _KEEPING:
            return shapes
        grouped = [(keep or _keeping(()))(each) for each in shapes]
        if name == "count_values":
            # The name of the label that it adds is a text that was not kept.
            grouped = [_given(())(each) for each in grouped]
        return tuple(replace(each, bounds=(), number=None) for each in grouped)

    def _grouping(self) -> Callable[[Shape], Shape] | None:
        if self._word not in ("by", "without"):
            return None
        return _keeping(self._names()) if self._take().lower() == "by" else _dropping(self._names())

    def _arguments(self) -> list[tuple[Shape, ...]]:
        self._take("(")
        found = []
        while self.next != ")":
            found.append(self.level(0))
            if self.next == ",":
                self._take()
            elif self.next != ")":
                self._take(")")
        self._take(")")
        return found

    def _selected(self, metric: str) -> tuple[Shape, ...]:
        facts: dict[str, Domain] = {}
        for matcher in self._matchers():
            if matcher.label == "__name__":
                metric = matcher.value if matcher.operator == "=" else metric
            else:
                facts[matcher.label] = facts.get(matcher.label, ANYTHING).narrowed(matcher)
        if metric not in self._recorded:
            if by_convention := _RECORDED_BY_INCIDENTD.fullmatch(metric):
                facts.setdefault("sli", exactly(by_convention[1]))
            return (Shape(facts, Others.UNREAD if ":" in metric else Others.SERIES),)
        return tuple(Shape(_overlaid(facts, labels), Others.SERIES) for labels in self._recorded[metric])

    def _matchers(self) -> Iterable[Matcher]:
        found: list[Matcher] = []
        if self.next != "{":
            return found
        self._take()
        while self.next != "}":
            name = self._take()
            if name and name[0] in "\"'" and self.next in (",", "}"):
                found.append(_matcher("__name__", "=", name))
            else:
                found.append(_matcher(name, self._take("=", "!=", "=~", "!~"), self._take()))
            if self.next == ",":
                self._take()
            elif self.next != "}":
                self._take("}")
        self._take("}")
        return found


def _matcher(label: str, operator: str, value: str) -> Matcher:
    if not value or value[0] not in "\"'`":
        raise ExpressionError(f"{label[:40]}{operator}{value[:40]}: the value must stand in quotes")
    body = value[1:-1]
    if value[0] == "`":
        body = body.replace("\\", "\\\\")
    if value[0] == "'":
        body = body.replace("\\'", "'")
    if value[0] != '"':
        body = body.replace('"', '\\"')
    name = label if label.startswith('"') else f'"{label}"'
    try:
        # Quoted names have matchers read with Go's escapes, as PromQL has them.
        return parse_matcher(f'{name}{operator}"{body}"')
    except MatcherError as error:
        raise ExpressionError(str(error)) from error


def _number(token: str) -> float | None:
    try:
        return float(token)
    except ValueError:
        return None


def _overlaid(facts: Mapping[str, Domain], labels: Mapping[str, str]) -> dict[str, Domain]:
    """What a selector asks of a series that a recording rule gives these labels."""
    found = dict(facts)
    for name, text in labels.items():
        found[name] = exactly(text)
        for matcher in facts.get(name, ANYTHING).asked:
            found[name] = found[name].narrowed(matcher)
        values = facts[name].values if name in facts else None
        if values is not None and text not in values:
            found[name] = Domain(frozenset())
    return found


def _joined(operator: str, left: tuple[Shape, ...], right: tuple[Shape, ...], *, boolean: bool) -> tuple[Shape, ...]:
    if operator == "or":
        return (*left, *right)
    if operator in ("and", "unless"):
        return tuple(replace(each, always=False) for each in left)
    scalars = [side[0].number for side in (left, right) if len(side) == 1 and side[0].others is Others.ABSENT]
    fixed = right[0].number if len(right) == 1 else None
    flipped = left[0].number if len(left) == 1 else None
    if operator in _COMPARISONS and not boolean:
        if fixed is not None:
            return tuple(_bounded(each, operator, fixed) for each in left)
        if flipped is not None:
            return tuple(_bounded(each, _COMPARISONS[operator], flipped) for each in right)
        return tuple(replace(each, always=False) for each in left)
    side = right if flipped is not None and fixed is None else left
    return tuple(replace(each, bounds=(), number=None, always=each.always and len(scalars) == 2) for each in side)


def _bounded(shape: Shape, operator: str, limit: float) -> Shape:
    if operator == "!=":
        return replace(shape, always=False)
    comparison = "=" if operator == "==" else operator
    bound = Condition(VALUE, comparison, limit, f"{limit:g}")
    return replace(shape, bounds=(*shape.bounds, bound), always=False)


def _called(name: str, arguments: list[tuple[Shape, ...]]) -> tuple[Shape, ...]:
    """The labels of a function's first argument that has series: so it is with all that don't make labels."""
    if name in ("absent", "absent_over_time"):
        shapes = arguments[0] if arguments else ()
        return tuple(Shape(_pinned(each), Others.ABSENT, number=1.0) for each in shapes)
    if name in ("vector", "time", "scalar", "pi"):
        number = arguments[0][0].number if name == "vector" and arguments else None
        return (Shape(others=Others.ABSENT, number=number, always=name != "scalar"),)
    series = next((each for each in arguments if not _is_scalar(each)), ())
    if name in ("label_replace", "label_join"):
        return tuple(replace(each, others=Others.UNREAD, facts={}) for each in series)
    if name == "info":
        return tuple(replace(each, others=Others.UNREAD) for each in series) or (Shape(),)
    if name.startswith("histogram_quantile"):
        series = tuple(_dropping(("le",))(each) for each in series)
    return tuple(replace(each, bounds=(), number=None) for each in series) or (Shape(),)


def _is_scalar(shapes: tuple[Shape, ...]) -> bool:
    return all(each.always and each.others is Others.ABSENT and not each.facts for each in shapes)


def _pinned(shape: Shape) -> dict[str, Domain]:
    return {name: each for name, each in shape.facts.items() if each.values is not None and len(each.values) == 1}


def _unchanged(shape: Shape) -> Shape:
    return shape


def _measured(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Their labels alone: the value is another one."""
    return tuple(replace(each, bounds=(), number=None, always=False) for each in shapes)


def _given(names: tuple[str, ...]) -> Callable[[Shape], Shape]:
    def given(shape: Shape) -> Shape:
        facts = {name: each for name, each in shape.facts.items() if name not in names}
        return replace(shape, facts=facts, others=Others.UNREAD)

    return given


def _keeping(names: tuple[str, ...]) -> Callable[[Shape], Shape]:
    def kept(shape: Shape) -> Shape:
        if shape.others is Others.ABSENT:
            facts = {name: shape.facts.get(name, exactly("")) for name in names}
        else:
            facts = {name: shape.facts.get(name, ANYTHING) for name in names}
        return replace(shape, facts=facts, others=Others.ABSENT)

    return kept


def _dropping(names: tuple[str, ...]) -> Callable[[Shape], Shape]:
    def dropped(shape: Shape) -> Shape:
        return replace(shape, facts={**shape.facts, **dict.fromkeys(names, exactly(""))})

    return dropped
