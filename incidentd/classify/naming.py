"""What an alert is about: its system, its objective, and the key of its incident (model 1)."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SPECIAL = re.compile(r"[\\/=]")
# PostgreSQL can't index a text of over 2,704 bytes; people can't read one of over a line.
_LONGEST_KEY = 300


@dataclass(frozen=True, slots=True)
class Naming:
    """Labels that name things. The first present one of ``system`` and of ``slo`` counts; all of ``also`` do."""

    system: tuple[str, ...]
    slo: tuple[str, ...]
    also: tuple[str, ...]

    def system_of(self, labels: Mapping[str, str]) -> str:
        """The system's name; empty when no label gives one."""
        return _first(self.system, labels)

    def slo_of(self, labels: Mapping[str, str]) -> str:
        """The objective's name; empty when no label gives one."""
        return _first(self.slo, labels)

    def key(self, system: str, slo: str, labels: Mapping[str, str]) -> str:
        """``system/slo``, and ``/name=value`` for each further label that is present."""
        return _bounded("/".join((_escape(system), _escape(slo), *_pairs(self.also, labels))))


def key_of(names: Iterable[str], labels: Mapping[str, str]) -> str:
    """The key of a row that names its labels: ``name=value`` of each that is present."""
    return _bounded("/".join(_pairs(names, labels)))


def _first(names: tuple[str, ...], labels: Mapping[str, str]) -> str:
    for name in names:
        if value := labels.get(name, ""):
            return value
    return ""


def _pairs(names: Iterable[str], labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{_escape(name)}={_escape(value)}" for name in names if (value := labels.get(name, "")))


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text) if _SPECIAL.search(text) else text


def _bounded(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return f"{key[: _LONGEST_KEY - 66]}…#{digest}"
