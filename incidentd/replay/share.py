"""Which alerts can have to do with one another, and of which of them two tables say the same.

Alerts of one fingerprint, of one incident as it was, or of one key under either table belong together. What belongs
together and is the same under both tables need be played only once.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from incidentd.calendars import ALWAYS
from incidentd.classify import DEFAULT_POLICY, Rules, Verdict
from incidentd.policy import Policy
from incidentd.replay.judge import Judged
from incidentd.replay.recording import Recording

_CALENDARS = "calendars.yaml"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a recording that can be played by itself. ``numbers`` are its alerts' in the whole.

    ``same``: both tables make the same of it.
    """

    recording: Recording
    numbers: tuple[int, ...]
    before: tuple[Judged, ...]
    after: tuple[Judged, ...]
    same: bool

    @property
    def weight(self) -> int:
        """How much there is to play."""
        hearings = sum(len(alert.hearings) for alert in self.recording.alerts)
        return (hearings + len(self.recording.answers)) * (1 if self.same else 2)


def shares(
    recording: Recording,
    tables: tuple[Rules, Rules],
    judged: tuple[Sequence[Judged], Sequence[Judged]],
    parts: int,
) -> list[Share]:
    """The recording in up to ``parts`` parts of what the tables agree on, and as many of what they don't."""
    agreement = _Agreement(*tables)
    before, after = judged
    groups = _together(recording, before, after)
    same = {root: agreement.on((before[n], after[n]) for n in numbers) for root, numbers in groups.items()}
    answers: dict[int, list[int]] = {}
    home = {recording.alerts[n].incident: root for root, numbers in groups.items() for n in numbers}
    for number, answer in enumerate(recording.answers):
        if answer.incident in home:
            answers.setdefault(home[answer.incident], []).append(number)
    found = []
    for agreed in (True, False):
        roots = [root for root in groups if same[root] is agreed]
        for chosen in (roots[start::parts] for start in range(parts)):
            numbers = sorted(n for root in chosen for n in groups[root])
            replies = sorted(n for root in chosen for n in answers.get(root, ()))
            if numbers:
                found.append(_share(recording, numbers, replies, judged, same=agreed))
    return found


def _share(
    recording: Recording,
    numbers: Sequence[int],
    replies: Sequence[int],
    judged: tuple[Sequence[Judged], Sequence[Judged]],
    *,
    same: bool,
) -> Share:
    alerts = tuple(recording.alerts[n] for n in numbers)
    part = replace(recording, alerts=alerts, answers=tuple(recording.answers[n] for n in replies), rules=None)
    before, after = (tuple(each[n] for n in numbers) for each in judged)
    return Share(part, tuple(numbers), before, after, same)


def _together(recording: Recording, before: Sequence[Judged], after: Sequence[Judged]) -> dict[int, list[int]]:
    """The numbers of alerts that may meet, by the first of them."""
    roots = list(range(len(recording.alerts)))

    def root(number: int) -> int:
        while roots[number] != number:
            roots[number] = number = roots[roots[number]]
        return number

    first: dict[Hashable, int] = {}
    for number, alert in enumerate(recording.alerts):
        keys = {(side, each.key) for side, j in enumerate((before, after)) for each in j[number].verdicts.values()}
        for name in (("alert", alert.fingerprint), ("incident", alert.incident or number), *keys):
            one, other = root(first.setdefault(name, number)), root(number)
            roots[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = {}
    for number in roots:
        groups.setdefault(root(number), [])
    for number in range(len(roots)):
        groups[root(number)].append(number)
    return groups


class _Agreement:
    """Whether two tables come to the same, where their verdicts do."""

    def __init__(self, before: Rules, after: Rules) -> None:
        self._calendars = before.files.get(_CALENDARS) == after.files.get(_CALENDARS)
        self._tables = (before, after)
        self._policies: dict[str, bool] = {}
        self._people = before.people == after.people and self._policy(DEFAULT_POLICY)

    def on(self, pairs: Iterable[tuple[Judged, Judged]]) -> bool:
        """Whether these alerts come to the same under both."""
        return self._people and all(
            before.is_sign == after.is_sign
            and all(self._verdict(verdict, after.verdicts[value]) for value, verdict in before.verdicts.items())
            for before, after in pairs
        )

    def _verdict(self, before: Verdict, after: Verdict) -> bool:
        return replace(before, version="") == replace(after, version="") and self._policy(before.policy)

    def _policy(self, name: str) -> bool:
        if name not in self._policies:
            first, second = (rules.policies.get(name) or rules.policies[DEFAULT_POLICY] for rules in self._tables)
            self._policies[name] = self._same(first, second)
        return self._policies[name]

    def _same(self, first: Policy, second: Policy) -> bool:
        """Calendars may hold functions, which can't be compared: their file is, unless no calendar is asked."""
        hours = [[tier.calendar.name for tier in policy.tiers.values()] for policy in (first, second)]
        asked = {name for names in hours for name in names} - {ALWAYS.name}
        return hours[0] == hours[1] and (self._calendars or not asked) and _bare(first) == _bare(second)


def _bare(policy: Policy) -> Policy:
    tiers = {tier: replace(each, calendar=ALWAYS) for tier, each in policy.tiers.items()}
    return replace(policy, version="", tiers=tiers)
