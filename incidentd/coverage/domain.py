"""What is known of a label before the alert fires: its value, some values that it may have, or what it can't be."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from incidentd.classify.matcher import Matcher

_LISTED = re.compile(r"[\w:/ -]*(\|[\w:/ -]*)*")


@dataclass(frozen=True, slots=True)
class Domain:
    """``values`` None: any text. ``asked`` are matchers that it is known to satisfy."""

    values: frozenset[str] | None = None
    asked: tuple[Matcher, ...] = ()

    def answer(self, matcher: Matcher) -> bool | None:
        """What a matcher says of it; None where that depends on the value."""
        if self.values is not None:
            answers = {_says(matcher, value) for value in self.values}
            return answers.pop() if len(answers) == 1 else None
        if matcher in self.asked:
            return True
        if any((each.operator, each.value) == (_NOT[matcher.operator], matcher.value) for each in self.asked):
            return False
        if matcher.operator in ("=", "=~"):
            return False if self._is_never(matcher) else None
        return True if self._is_never(matcher) else None

    def narrowed(self, matcher: Matcher) -> "Domain":
        """What is known once it satisfies this one too."""
        if self.values is not None:
            return replace(self, values=frozenset(value for value in self.values if _says(matcher, value)))
        listed = _listed(matcher) if matcher.operator in ("=", "=~") else None
        if listed is None:
            return replace(self, asked=(*self.asked, matcher))
        return Domain(frozenset(value for value in listed if all(_says(each, value) for each in self.asked)))

    @property
    def is_none(self) -> bool:
        """Whether nothing satisfies what is asked of it."""
        return self.values == frozenset()

    def _is_never(self, matcher: Matcher) -> bool:
        """Whether it is none of the values that a matcher names, to be them or not to be them."""
        listed = _listed(matcher)
        return listed is not None and not any(all(_says(each, value) for each in self.asked) for value in listed)


ANYTHING = Domain()
_NOT = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}


def exactly(*values: str) -> Domain:
    """One of these."""
    return Domain(frozenset(values))


def all_of(matchers: Iterable[Matcher]) -> dict[str, Domain]:
    """What is known of labels that satisfy all of these."""
    found: dict[str, Domain] = {}
    for matcher in matchers:
        found[matcher.label] = found.get(matcher.label, ANYTHING).narrowed(matcher)
    return found


def _says(matcher: Matcher, value: str) -> bool:
    return matcher.matches({matcher.label: value})


def _listed(matcher: Matcher) -> list[str] | None:
    """The values that it names, where it names them one by one."""
    if matcher.operator in ("=", "!="):
        return [matcher.value]
    return matcher.value.split("|") if _LISTED.fullmatch(matcher.value) else None
