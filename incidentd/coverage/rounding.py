r"""What a template writes of a number: the number itself, or one that ``printf`` has rounded.

Rounding never turns two numbers round: of what is over a limit, the rounded number is not under the rounded limit. But
it may be that limit itself: ``99.46 < 99.5``, and ``printf "%.1f"`` writes ``99.5``.
https://prometheus.io/docs/prometheus/latest/configuration/template_reference/, https://pkg.go.dev/fmt
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from incidentd.classify.condition import Condition

_NUMBER = r"(?:\$value|\.Value)"
_FORM = r"""["`]%(?P<{}>[-+0]*\d*)(?:\.(?P<{}>\d+))?(?P<{}>[feEgG])["`]"""
_PLAIN = re.compile(rf"\{{\{{-?\s*{_NUMBER}\s*-?\}}\}}")
_FORMATTED = re.compile(
    rf"\{{\{{-?\s*(?:printf\s+{_FORM.format('f1', 'p1', 'v1')}\s+{_NUMBER}|"
    rf"{_NUMBER}\s*\|\s*printf\s+{_FORM.format('f2', 'p2', 'v2')})"
    r"""(?P<trimmed>\s*\|\s*reReplaceAll\s+(?:"\\\\\.\?0\+\$"|`\\\.\?0\+\$`)\s+"")?\s*-?\}\}"""
)
_FINE = 4
_RELATIVELY = 1000


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a number is written: by ``verb`` with so many ``digits``; None: all that it has."""

    verb: str = "g"
    digits: int | None = None

    def of(self, number: float) -> float:
        """The number that is written."""
        return number if self.digits is None else float(f"{number:.{self.digits}{self.verb}}")

    def of_all(self, bounds: Iterable[Condition]) -> tuple[Condition, ...]:
        """What the written number satisfies, where the number itself satisfies these."""
        return tuple(self._bound(each) for each in bounds)

    def _bound(self, bound: Condition) -> Condition:
        if self.digits is None or self._is_fine(bound.limit):
            return bound
        limit = self.of(bound.limit)
        operator = bound.operator if bound.operator == "=" else f"{bound.operator[0]}="
        return replace(bound, operator=operator, limit=limit, written=f"{limit:g}")

    def _is_fine(self, limit: float) -> bool:
        """Whether it rounds by so little that no limit is drawn so finely."""
        digits = self.digits or 0
        return self.verb == "f" and digits >= _FINE and abs(limit) * 10**digits >= _RELATIVELY / 2


def rounding_of(template: str) -> Rounding | None:
    """How a template writes the value; None where it does something else with it, so that nothing is known."""
    text = template.strip()
    if _PLAIN.fullmatch(text):
        return Rounding()
    found = _FORMATTED.fullmatch(text)
    return None if found is None else next(_forms(found), None)


def _forms(found: re.Match[str]) -> Iterator[Rounding]:
    for number in "12":
        verb, digits = found[f"v{number}"], found[f"p{number}"]
        if verb is None:
            continue
        rounding = Rounding(verb.lower(), _digits(verb, digits))
        # Trimming takes zeros off the end: of a number without a fraction, or with an exponent, they count.
        if not (found["trimmed"] and (rounding.verb != "f" or rounding.digits == 0)):
            yield rounding


def _digits(verb: str, given: str | None) -> int | None:
    if given is not None:
        return int(given)
    return None if verb in "gG" else 6
