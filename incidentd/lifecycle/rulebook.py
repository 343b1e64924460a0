"""The rules tables at hand: the one in force, and those that older rounds still follow (model 37)."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from incidentd.classify import Rules, parse
from incidentd.incident.state import Incident
from incidentd.policy import Policy
from incidentd.store import cursors
from incidentd.store import rules as stored
from incidentd.store.engine import Store

DEFAULT_POLICY = "default"


class Rulebook:
    """Answers from memory; reads the database only for a version it has not met."""

    def __init__(self, store: Store, in_force: Rules) -> None:
        self._store = store
        self._in_force = in_force
        self._known: dict[str, Rules] = {in_force.version: in_force}
        self._policies: dict[tuple[str, str, str], Policy] = {}

    @property
    def in_force(self) -> Rules:
        """The table that new incidents and new rounds take."""
        return self._in_force

    def version(self, version: str) -> Rules:
        """A table by its hash; the one in force where that one is not to be had."""
        known = self._known.get(version)
        if known is None:
            texts = self._store.read(lambda tx: stored.files(tx, version))
            known = parse(texts) if texts is not None else self._in_force
            self._known[version] = known
        return known

    def policy(self, incident: Incident) -> Policy:
        """What this incident's round follows, and what its next one would."""
        key = (incident.version, incident.policy, self._in_force.version)
        policy = self._policies.get(key)
        if policy is None:
            newer = None if incident.version == self._in_force.version else _named(self._in_force, incident.policy)
            policy = replace(_named(self.version(incident.version), incident.policy), newer=newer)
            self._policies[key] = policy
        return policy

    def put_in_force(self, rules: Rules, now: datetime) -> None:
        """Store a table and take it; every other process follows by ``refresh``. What was given up is tried again."""

        def put(tx: Connection) -> None:
            stored.put_in_force(tx, rules.version, rules.files, now)
            cursors.retry_given_up(tx, now)

        self._store.write(put)
        self._take(rules)

    def refresh(self) -> bool:
        """Take the table that another process has put in force; whether there was one."""
        version = self._store.read(stored.in_force)
        if version is None or version == self._in_force.version:
            return False
        self._take(self.version(version))
        return True

    def _take(self, rules: Rules) -> None:
        self._known[rules.version] = rules
        self._in_force = rules
        self._policies.clear()


def _named(rules: Rules, name: str) -> Policy:
    return rules.policies.get(name) or rules.policies[DEFAULT_POLICY]
