"""The compose files as Docker Compose reads them, as far as ours go.

https://github.com/compose-spec/compose-spec/blob/main/13-merge.md
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.dockerfile import ROOT

MAIN = ROOT / "docker-compose.yml"
SANDBOX = ROOT / "docker-compose.sandbox.yml"
SECRETS = "/run/secrets"

_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
_REPLACED = {"command", "entrypoint", "test"}


@dataclass(frozen=True, slots=True)
class Mount:
    """``source`` is a path below the checkout where it begins with ``./``, else the name of a volume."""

    source: str
    target: str
    mode: str

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith("./")


@dataclass(frozen=True, slots=True)
class Service:
    """One service. ``raw`` has all that isn't named here."""

    name: str
    raw: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        return list(self.raw["command"])

    @property
    def environment(self) -> dict[str, str]:
        """What is set whatever the user's own environment says."""
        return {name: value for name, value in self.raw.get("environment", {}).items() if value is not None}

    @property
    def passed(self) -> set[str]:
        """What is set where the user's own environment, or .env, sets it."""
        return {name for name, value in self.raw.get("environment", {}).items() if value is None}

    @property
    def secrets(self) -> list[str]:
        return list(self.raw.get("secrets", []))

    @property
    def replicas(self) -> int:
        return int(self.raw.get("deploy", {}).get("replicas", 1))

    @property
    def mounts(self) -> list[Mount]:
        """One for each target: a later file's takes an earlier one's place."""
        split = [Mount(*(*each.split(":"), "rw")[:3]) for each in self.raw.get("volumes", [])]
        return list({mount.target: mount for mount in split}.values())

    @property
    def test(self) -> list[str]:
        """The health check's command, as a program and its arguments; empty without one."""
        kind, *words = self.raw.get("healthcheck", {}).get("test", [""])
        return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


@dataclass(frozen=True, slots=True)
class Composition:
    """Files in their sum."""

    raw: Mapping[str, Any]

    @property
    def services(self) -> dict[str, Service]:
        return {name: Service(name, raw) for name, raw in self.raw["services"].items()}

    @property
    def secret_files(self) -> dict[str, str]:
        """The files of the secrets, by name."""
        return {name: each["file"] for name, each in self.raw["secrets"].items()}


def compose(*files: Path) -> Composition:
    """The files, one over the other, with every variable at its default."""
    loaded = [yaml.safe_load(_VARIABLE.sub(r"\1", file.read_text("utf-8")).replace("$$", "$")) for file in files]
    return Composition(reduce(_merged, loaded))


def seconds(duration: str) -> float:
    """A duration such as 30s."""
    return float(duration.removesuffix("s"))


def strings(value: Any) -> Iterator[str]:
    """Every text somewhere inside, the keys of mappings too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (key, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield str(value)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {**first, **{key: _joined(key, first.get(key), value) for key, value in second.items()}}


def _joined(key: str, first: Any, second: Any) -> Any:
    if key not in _REPLACED and isinstance(first, Mapping) and isinstance(second, Mapping):
        return _merged(first, second)
    if key not in _REPLACED and isinstance(first, list) and isinstance(second, list):
        return first + second
    return second
