"""The rules tables at hand: the one in force, and those that older rounds still follow (model 37)."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.engine import Connection

from incidentd.classify import DEFAULT_POLICY, Classifier, Rules, load, parse
from incidentd.drill import is_drill
from incidentd.errors import RulesError, StoreUnavailableError
from incidentd.incident.state import Incident
from incidentd.policy import Policy
from incidentd.store import cursors, line
from incidentd.store import rules as stored
from incidentd.store.engine import Store

FOLLOWED = timedelta(seconds=1)
"""In this time every process takes a new table (model 37)."""

log = structlog.get_logger("incidentd.rules")


class Rulebook:
    """Answers from memory; reads the database only for a version it has not met."""

    def __init__(self, store: Store, in_force: Rules) -> None:
        self._store = store
        self._in_force = in_force
        self._classifier = Classifier(in_force)
        self._known: dict[str, Rules] = {in_force.version: in_force}
        self._refused = ""
        self._policies: dict[tuple[str, str, str, bool], Policy] = {}

    @property
    def in_force(self) -> Rules:
        """The table that new incidents and new rounds take."""
        return self._in_force

    @property
    def classifier(self) -> Classifier:
        """Says what the table in force makes of an alert."""
        return self._classifier

    def version(self, version: str) -> Rules:
        """A table by its hash; the one in force where that one is not to be had, or means nothing to this version."""
        known = self._known.get(version)
        if known is None:
            known = self._known[version] = self._read(version) or self._in_force
        return known

    def _read(self, version: str) -> Rules | None:
        texts = self._store.read(lambda tx: stored.files(tx, version))
        try:
            return parse(texts) if texts is not None else None
        except RulesError:
            log.exception("rules_unreadable", version=version)
            return None

    def policy(self, incident: Incident) -> Policy:
        """What this incident's round follows, and what its next one would. A drill is over as soon as its alert is."""
        drill = is_drill(incident.system)
        key = (incident.version, incident.policy, self._in_force.version, drill)
        policy = self._policies.get(key)
        if policy is None:
            newer = None if incident.version == self._in_force.version else _named(self._in_force, incident.policy)
            policy = replace(_named(self.version(incident.version), incident.policy), newer=newer)
            policy = replace(policy, hold_down=timedelta(0)) if drill else policy
            self._policies[key] = policy
        return policy

    def put_in_force(self, rules: Rules, now: datetime) -> None:
        """Store a table and take it; every other process follows by ``refresh``."""
        put_in_force(self._store, rules, now)
        self._take(rules)

    def refresh(self) -> bool:
        """Take the table that another process has put in force; whether there was one."""
        version = self._store.read(stored.in_force)
        if version is None or version in (self._in_force.version, self._refused):
            return False
        rules = self._read(version)
        if rules is None:
            self._refused = version
            return False
        self._take(rules)
        return True

    def _take(self, rules: Rules) -> None:
        self._known[rules.version] = rules
        self._in_force = rules
        self._classifier = Classifier(rules)
        self._policies.clear()


def put_in_force(store: Store, rules: Rules, now: datetime) -> None:
    """Store a table as the one in force. What was given up is tried again: it may have been mended.

    Whoever waits for a receiver's limit asks anew once every process has followed.
    """

    def put(tx: Connection) -> None:
        stored.put_in_force(tx, rules.version, rules.files, now)
        cursors.retry_given_up(tx, now)
        line.dissolve(tx, now + FOLLOWED)

    store.write(put)


def take_in_force(store: Store, folder: Path, now: datetime) -> Rules:
    """The stored table; the very first one, and one that this version can't read, comes from the directory.

    Raises:
        RulesError: there is none, and the one in the directory is unsound.
    """
    version = store.read(stored.in_force)
    texts = store.read(lambda tx: stored.files(tx, version)) if version else None
    if texts is not None:
        try:
            return parse(texts)
        except RulesError:
            log.exception("rules_unreadable", version=version)
    rules = load(folder)
    store.write(lambda tx: stored.put_in_force(tx, rules.version, rules.files, now))
    return rules


def take_at_hand(store: Store, folder: Path, now: datetime) -> Rules:
    """As ``take_in_force``; while the database is away the one in the directory, which is not in force yet.

    Raises:
        RulesError: there is none in the database, or it is away, and the one in the directory is unsound.
    """
    try:
        return take_in_force(store, folder, now)
    except StoreUnavailableError:
        log.warning("rules_at_hand", folder=str(folder))
        return load(folder)


def _named(rules: Rules, name: str) -> Policy:
    return rules.policies.get(name) or rules.policies[DEFAULT_POLICY]
