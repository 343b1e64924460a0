"""Rules from a folder, or from the texts of one: all of it sound, or every fault at once."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from incidentd.classify.check import unreachable, warnings
from incidentd.classify.destination import read_destinations
from incidentd.classify.document import MAX_BYTES
from incidentd.classify.drill import DrillSpec, drill_warnings, read_drills
from incidentd.classify.escalation import Ground, read_escalation
from incidentd.classify.grading import Grading, read_grading
from incidentd.classify.heartbeat import HeartbeatSpec, read_heartbeats
from incidentd.classify.index import build_index
from incidentd.classify.kind import KINDS, Kind
from incidentd.classify.opening_hours import read_calendars
from incidentd.classify.rules import Rules
from incidentd.classify.section import Ledger, closest, open_file
from incidentd.classify.table import SYSTEM, Shelf, Table, read_table
from incidentd.errors import Fault, RulesError
from incidentd.template import trial

TIERS, ESCALATION, DESTINATIONS, CALENDARS = "tiers.yaml", "escalation.yaml", "destinations.yaml", "calendars.yaml"
HEARTBEATS, DRILLS = "heartbeats.yaml", "drills.yaml"
_FIXED = (CALENDARS, DESTINATIONS, TIERS, ESCALATION)
_SUFFIX = ".yaml"
_VERSION_LENGTH = 12
_KNOWN = 4
TEMPLATES = "templates/"
"""The folder, and the beginning of the names of its files."""
_TEMPLATE_SUFFIXES = (".json.j2", ".txt.j2")
_NO_FOLDER = "there is no such folder of rules; INCIDENTD_RULES names the one that is used"


def load(directory: Path, kinds: Mapping[str, Kind] = KINDS) -> Rules:
    """The rules in a folder: every ``*.yaml`` directly in it, and every ``*.j2`` in its folder ``templates``.

    Raises:
        RulesError: with each fault found.
    """
    if not directory.is_dir():
        raise RulesError([Fault(str(directory), 0, "", _NO_FOLDER)])
    faults: list[Fault] = []
    files: dict[str, str] = {}
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".yml":
            faults.append(Fault(path.name, 1, "", "is not read: name it .yaml"))
        elif path.suffix == _SUFFIX:
            text = _text(path)
            if isinstance(text, Fault):
                faults.append(text)
            else:
                files[path.name] = text
    for path in sorted((directory / TEMPLATES).glob("*.j2")):
        text = _text(path)
        if isinstance(text, Fault):
            faults.append(replace(text, file=f"{TEMPLATES}{path.name}"))
        else:
            files[f"{TEMPLATES}{path.name}"] = text
    if faults:
        raise RulesError(faults)
    return parse(files, kinds)


def parse(files: Mapping[str, str], kinds: Mapping[str, Kind] = KINDS) -> Rules:
    """The rules in these texts, by file name; for texts that were parsed a moment ago, the same.

    Raises:
        RulesError: with each fault found.
    """
    return _known(tuple(sorted(files.items()))) if kinds is KINDS else _Loader(files, kinds).rules()


@lru_cache(_KNOWN)
def _known(files: tuple[tuple[str, str], ...]) -> Rules:
    """A start reads the same texts two or three times: to check them, to put them in force, to go by them."""
    return _Loader(dict(files), KINDS).rules()


def version_of(files: Mapping[str, str]) -> str:
    """The hash that names these texts, whatever their order."""
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:_VERSION_LENGTH]


def _text(path: Path) -> str | Fault:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        return Fault(path.name, 1, "", f"larger than {MAX_BYTES:,} bytes") if len(data) > MAX_BYTES else data.decode()
    except UnicodeDecodeError:
        return Fault(path.name, 1, "", "is not UTF-8")
    except OSError as error:
        return Fault(path.name, 1, "", f"can't be read: {error.strerror}")


class _Loader:
    """Reads the files in the order in which they name one another."""

    def __init__(self, files: Mapping[str, str], kinds: Mapping[str, Kind]) -> None:
        self._files = dict(files)
        self._kinds = kinds
        self._ledgers: list[Ledger] = []

    def rules(self) -> Rules:
        version = version_of(self._files)
        for name in _FIXED:
            if name not in self._files:
                self._ledger(name).add(1, "is missing")
        self._stop_at_faults()
        calendars = read_calendars(self._files[CALENDARS], self._ledger(CALENDARS))
        destinations = read_destinations(
            self._files[DESTINATIONS], self._ledger(DESTINATIONS), self._kinds, self._templates()
        )
        grading = read_grading(self._files[TIERS], self._ledger(TIERS))
        if not (destinations and grading.tiers):
            self._stop_at_faults()
        ground = Ground(grading.tiers, destinations, calendars, self._kinds, version)
        escalation = read_escalation(self._files[ESCALATION], self._ledger(ESCALATION), ground)
        if not escalation.policies:
            self._stop_at_faults()
        shelf = Shelf(escalation.policies, destinations, grading.known, grading.generic)
        tables = self._tables(grading, shelf)
        heartbeats, drills = self._heartbeats(shelf, tables), self._drills(shelf, tables)
        rows = tuple(row for table in tables.values() for row in table.rows)
        for fault in unreachable(rows):
            self._ledger(fault.file).faults.append(fault)
        self._stop_at_faults()
        return Rules(
            version=version,
            files=MappingProxyType(self._files),
            grading=grading,
            tables=MappingProxyType(tables),
            people=escalation.people,
            policies=escalation.policies,
            destinations=MappingProxyType(destinations),
            calendars=MappingProxyType(calendars),
            index=build_index(rows, SYSTEM),
            by_system=MappingProxyType({each.system: each for each in tables.values() if each.system}),
            warnings=(
                *warnings(tables.values(), escalation.policies, destinations),
                *drill_warnings(drills.values(), shelf, tables.values(), DRILLS),
            ),
            heartbeats=MappingProxyType(heartbeats),
            drills=MappingProxyType(drills),
            observing=MappingProxyType({each.system: each.observing for each in tables.values() if each.observing}),
        )

    def _templates(self) -> dict[str, str]:
        """Those of the folder, by their names in it; each is tried out, whether it is used or not."""
        found = {name.removeprefix(TEMPLATES): text for name, text in self._files.items() if name.startswith(TEMPLATES)}
        for name, text in found.items():
            ledger = self._ledger(f"{TEMPLATES}{name}")
            if not name.endswith(_TEMPLATE_SUFFIXES):
                ledger.add(1, f"is named neither {' nor '.join(f'*{each}' for each in _TEMPLATE_SUFFIXES)}")
            elif failed := trial(text, as_json=name.endswith(_TEMPLATE_SUFFIXES[0])):
                ledger.add(failed.line, failed.cause)
        return found

    def _heartbeats(self, shelf: Shelf, tables: Mapping[str, Table]) -> dict[str, HeartbeatSpec]:
        """Those of the one file that need not be there."""
        text = self._files.get(HEARTBEATS)
        return {} if text is None else read_heartbeats(text, self._ledger(HEARTBEATS), shelf, tables.values())

    def _drills(self, shelf: Shelf, tables: Mapping[str, Table]) -> dict[str, DrillSpec]:
        """Those of the other file that need not be there."""
        text = self._files.get(DRILLS)
        return {} if text is None else read_drills(text, self._ledger(DRILLS), shelf, tables.values())

    def _tables(self, grading: Grading, shelf: Shelf) -> dict[str, Table]:
        found: dict[str, Table] = {}
        for name in self._order(grading):
            file = f"{name}{_SUFFIX}"
            ledger = self._ledger(file)
            found[name] = read_table(name, open_file(self._files[file], ledger), shelf)
            self._check_system(found[name], found, ledger)
        return found

    def _order(self, grading: Grading) -> Iterator[str]:
        tables = [name for name in self._files if name not in (*_FIXED, HEARTBEATS, DRILLS) and "/" not in name]
        present = {name.removesuffix(_SUFFIX) for name in tables}
        for name in grading.tables:
            if name in present:
                yield name
            else:
                self._ledger(TIERS).add(
                    grading.tables_line, f"tables names {name!r}: there is no {name}{_SUFFIX}{closest(name, present)}"
                )
        for name in sorted(present - set(grading.tables)):
            self._ledger(f"{name}{_SUFFIX}").add(1, f"is not named under tables in {TIERS}")

    @staticmethod
    def _check_system(table: Table, found: Mapping[str, Table], ledger: Ledger) -> None:
        for other in found.values():
            if table.system and other.name != table.name and other.system == table.system:
                ledger.add(1, f"system {table.system!r} has a table of its own already: {other.name}{_SUFFIX}")

    def _ledger(self, file: str) -> Ledger:
        ledger = Ledger(file)
        self._ledgers.append(ledger)
        return ledger

    def _stop_at_faults(self) -> None:
        faults = {fault for ledger in self._ledgers for fault in ledger.faults}
        if faults:
            raise RulesError(sorted(faults, key=lambda fault: (fault.file, fault.line, fault.row, fault.cause)))
