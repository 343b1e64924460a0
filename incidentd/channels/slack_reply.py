"""What happened since the card was posted, in its sum, as one reply in the card's thread."""

from dataclasses import dataclass

from incidentd.channels.channel import News
from incidentd.channels.mrkdwn import line
from incidentd.channels.slack_card import Message, concerned, question, section
from incidentd.incident.state import State
from incidentd.timeline import Entry, LevelReached, RoundBegan, Stale, TierRose, TierSet, Told, Updated

_SHOWN = 10
_SENTENCE = 250


@dataclass(frozen=True, slots=True)
class Reply:
    """``loud``: it also goes to the channel. ``number``: the last entry that it tells."""

    message: Message
    loud: bool
    number: int


def reply(news: News, after: int) -> Reply | None:
    """The reply that tells the entries after number ``after``; None where there are none.

    Loud only while nobody has answered: what became untrue meanwhile wakes nobody (model 32, 33).
    """
    pending = [
        (entry, sentence)
        for entry, sentence in zip(news.entries, news.sentences, strict=True)
        if entry.number > after and entry.data.told is not Told.NO
    ]
    if not pending:
        return None
    pending = _still_true(pending)
    loud = [entry for entry, _ in pending if entry.data.told is Told.LOUDLY]
    calls = news.incident.state is State.TRIGGERED and bool(loud) and not news.hushed
    mentions = "" if news.hushed else concerned(news, {_level(entry, news) for entry in loud})
    sentences = [line(sentence, _SENTENCE) for _, sentence in pending if sentence.strip()]
    shown = sentences[-_SHOWN:] or ["The incident changed."]
    omitted = [f"_{len(sentences) - len(shown)} earlier entries are on the incident's page._"]
    lines = [*(omitted if len(sentences) > len(shown) else ()), *shown]
    body = "\n".join(([mentions] if mentions else []) + (lines if len(lines) == 1 else [f"• {each}" for each in lines]))
    is_asked = news.incident.state is not State.RESOLVED and any(isinstance(each.data, Stale) for each, _ in pending)
    blocks = [section(body), *([question(news.incident)] if is_asked else ())]
    return Reply(Message(body, blocks), calls, pending[-1][0].number)


def _still_true(pending: list[tuple[Entry, str]]) -> list[tuple[Entry, str]]:
    """Without updates that something followed: they said what held before it."""
    return [*(each for each in pending[:-1] if not isinstance(each[0].data, Updated)), pending[-1]]


def _level(entry: Entry, news: News) -> int:
    """The level whose people a loud entry concerns."""
    match entry.data:
        case LevelReached(level=level) | RoundBegan(level=level) | TierRose(level=level) | TierSet(level=level):
            return level
        case _:
            return news.incident.told_level or news.incident.level
