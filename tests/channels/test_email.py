"""Mail, with a real server on loopback: in one thread, by TLS, and whatever the server does."""

import logging
import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from incidentd.channels.deadline import Watchman
from incidentd.channels.email import PATIENCE, EmailChannel
from incidentd.channels.mail_server import Security, mail_server
from incidentd.channels.resolver import Resolver
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError
from incidentd.tier import Tier
from incidentd.timeline import Resolved, TierRose
from tests.channels import receiver as acts
from tests.channels import story
from tests.channels.mail import USER, Post
from tests.channels.receiver import Receiver
from tests.servers import free_port

ANN, BEN = "ann@example.com", "ben@example.com"
PASSWORD = story.SECRET


class Ticking:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = story.NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def post() -> Iterator[Post]:
    with Post() as server:
        yield server


@pytest.fixture
def channel(clock: Ticking) -> EmailChannel:
    return EmailChannel(Watchman(), Resolver(), clock)


@pytest.fixture
def trusting(certificate: Path) -> EmailChannel:
    """Knows the certificate of the tests' own server."""
    context = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
    return EmailChannel(Watchman(), Resolver(), lambda: story.NOW, context)


@pytest.fixture
def secure(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def rose(number: int = 2) -> Any:
    data = TierRose(Tier.P1, Tier.P0, "row", "reason", 1, None, None)
    return story.entry(number, data)


def later(reference: Any, *entries: Any, **changes: Any) -> Any:
    last = entries[-1].number
    state = changes.pop("state", story.incident(last=last, news=last))
    return story.news("e1", state, entries=entries, reference=reference, **changes)


# What is said, and where.


def test_the_first_mail_says_what_happened_in_text_and_html_to_all_recipients(
    post: Post, channel: EmailChannel
) -> None:
    receipt = channel.deliver(story.mailbox(post.url()), story.news("e1"), seconds=10)
    (got,) = post.mails
    assert (receipt.sent, receipt.detail, got.to) == (True, "mail to 2", (ANN, BEN))
    for body in (got.text, got.html):
        for word in ("P0 #42 Core API availability: triggered", "Sentence 1.", story.INCIDENT_URL, "eu-west-1"):
            assert word in body
    lines = got.text.splitlines()
    assert "Next: engineering manager at 2026-11-21 12:05:00 UTC" in lines
    assert "Answer by: 2026-11-21 12:05:00 UTC" in lines
    mail = got.mail
    assert mail["Subject"] == "[incidentd #42] Core API availability (avalo)"
    assert (mail["From"], mail["To"]) == ("incidentd <incidents@example.com>", f"{ANN}, {BEN}")
    assert (mail["Auto-Submitted"], mail["Importance"]) == ("auto-generated", "high")
    assert parsedate_to_datetime(mail["Date"]).astimezone(UTC) == story.NOW


def test_a_mail_has_no_byte_and_no_line_that_some_relay_would_change(post: Post, channel: EmailChannel) -> None:
    """8 bits want a server that offers 8BITMIME (RFC 6152), and a line has at most 998 bytes (RFC 5322, 2.1.1)."""
    for number, sentence in enumerate(("Größe über 5 €.", "größer " * 300), 1):
        news = story.news("e1", entries=(story.opened(number),), sentences=(sentence,))
        channel.deliver(story.mailbox(post.url()), news, seconds=10)
        got = post.mails[-1]
        assert got.content.isascii()
        assert max(map(len, got.content.split(b"\r\n"))) <= 998
        assert sentence in got.text


def test_all_mails_of_an_incident_are_one_thread_through_a_reopening(post: Post, channel: EmailChannel) -> None:
    box = story.mailbox(post.url())
    first = channel.deliver(box, story.news("e1"), seconds=10)
    channel.deliver(box, later(first.reference, rose()), seconds=10)
    opened_again = story.news("e2", story.incident(episode=2, last=9, news=9), entries=(story.opened(9, episode=2),))
    channel.deliver(box, replace(opened_again, predecessor=first.reference), seconds=10)
    mails = [got.mail for got in post.mails]
    root = mails[0]["Message-ID"]
    assert len({mail["Message-ID"] for mail in mails}) == 3
    assert [mail["In-Reply-To"] for mail in mails] == [None, root, root]
    assert len({mail["References"].split()[0] for mail in mails}) == 1
    assert {mail["Subject"].removeprefix("Re: ") for mail in mails} == {mails[0]["Subject"]}


def test_the_same_news_have_the_same_message_id_at_each_try_and_from_each_process(clock: Ticking) -> None:
    with Post() as one:
        for channel in (EmailChannel(Watchman(), Resolver(), clock), EmailChannel(Watchman(), Resolver(), clock)):
            channel.deliver(story.mailbox(one.url()), story.news("e1", uncertain=True), seconds=10)
        other = story.mailbox(one.url(), name="stakeholders")
        channel.deliver(other, story.news("e1"), seconds=10)
    ids = [got.mail["Message-ID"] for got in one.mails]
    assert (ids[0] == ids[1], ids[0] == ids[2]) == (True, False)


def test_what_happened_meanwhile_is_one_mail(post: Post, channel: EmailChannel) -> None:
    box = story.mailbox(post.url())
    first = channel.deliver(box, story.news("e1"), seconds=10)
    resolved = story.entry(4, Resolved(by_person=False, via="", in_time=True, grace_until=None))
    state = story.resolved(last=4, news=4)
    channel.deliver(box, later(first.reference, rose(2), story.noted(3), resolved, state=state), seconds=10)
    assert len(post.mails) == 2
    assert [f"Sentence {number}." in post.mails[1].text for number in (1, 2, 3, 4)] == [False, True, True, True]
    assert "Importance" not in post.mails[1].mail


def test_what_changes_no_state_is_no_mail(post: Post, channel: EmailChannel) -> None:
    news = later({"first": "<x@example.com>", "subject": "s"}, story.noted(2))
    nothing = channel.deliver(story.mailbox(post.url()), news, seconds=10)
    assert (nothing.sent, nothing.asked, nothing.reference) == (False, False, news.reference)
    assert not channel.deliver(story.mailbox(post.url()), replace(news, again=True, entries=()), seconds=10).asked
    assert post.mails == []


EVIL = "Core\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script> \u202e\x00\x1b[2J\ud800 \u2028"


def test_nothing_that_an_alert_holds_becomes_a_header_or_markup(post: Post, channel: EmailChannel) -> None:
    state = story.incident(title=EVIL, system=EVIL, slo=EVIL, reason=EVIL)
    details = (story.detail(annotations={"summary": EVIL, "runbook_url": "javascript:alert(1)", "dashboard": EVIL}),)
    news = story.news("e1", state, alerts=details, sentences=(EVIL,), runbook="", objective=EVIL, notice=EVIL)
    assert channel.deliver(story.mailbox(post.url()), news, seconds=10).sent
    (got,) = post.mails
    assert got.to == (ANN, BEN)
    assert "Bcc" not in got.mail
    assert sorted(got.mail.keys()) == sorted(set(got.mail.keys()))
    assert ("<script>" in got.html, "javascript:" in got.html, "&lt;script&gt;" in got.html) == (False, False, True)
    head = got.content.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"[\x00\x1b]", got.content)
    assert re.findall(rb"(?im)^bcc", head) == []


# TLS and signing in.


@pytest.mark.parametrize("implicit", [False, True])
def test_by_tls_a_user_signs_in(secure: ssl.SSLContext, trusting: EmailChannel, implicit: bool) -> None:
    with Post(password=PASSWORD, context=secure, implicit=implicit) as post:
        url = post.url("smtps" if implicit else "smtp", USER.replace("@", "%40"), PASSWORD)
        assert trusting.deliver(story.mailbox(url), story.news("e1"), seconds=10).sent
    assert [(got.signed_in, got.encrypted) for got in post.mails] == [(True, True)]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: ssl.SSLContext, channel: EmailChannel, implicit: bool
) -> None:
    with Post(context=secure, implicit=implicit) as post, pytest.raises(TransientError, match="TLS failed"):
        channel.deliver(story.mailbox(post.url("smtps" if implicit else "smtp")), story.news("e1"), seconds=10)
    assert post.mails == []


def test_without_starttls_nothing_is_said(post: Post, channel: EmailChannel) -> None:
    with pytest.raises(PermanentError, match="STARTTLS"):
        channel.deliver(story.mailbox(post.url("smtp")), story.news("e1"), seconds=10)
    assert post.asked == []


def test_a_wrong_password_is_permanent_and_never_told(
    secure: ssl.SSLContext, trusting: EmailChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Post(password="another one", context=secure) as post:
        box = story.mailbox(post.url("smtp", USER.replace("@", "%40"), PASSWORD))
        with pytest.raises(PermanentError, match=r"refuses user or password \(535\)") as caught:
            trusting.deliver(box, story.news("e1"), seconds=10)
    assert PASSWORD not in f"{caught.value!r}{caught.value.__cause__}{caught.value.__context__}{caplog.text}{box}"


@pytest.mark.parametrize(
    "address",
    [
        "https://mail.example.com",
        "smtp://",
        "mail.example.com:25",
        "smtp://mail.example.com:99999",
        "smtp://mail.example.com/path",
        "smtp://user@mail.example.com",
        f"smtp+plain://user:{PASSWORD}@mail.example.com",
        f"smtp://user:{PASSWORD}%C3%BC@mail.example.com",
    ],
)
def test_an_address_of_no_server_is_permanent(channel: EmailChannel, address: str) -> None:
    with pytest.raises(PermanentError) as caught:
        channel.deliver(story.mailbox(address), story.news("e1"), seconds=10)
    assert PASSWORD not in str(caught.value)


def test_an_address_is_read_with_its_defaults() -> None:
    assert (mail_server("smtp://h").port, mail_server("smtps://h").port, mail_server("smtp+plain://h").port) == (
        587,
        465,
        25,
    )
    found = mail_server("smtps://a%40b:p%2Fw%3A@[::1]:2465")
    assert (found.security, found.host, found.port, found.user, found.password) == (
        Security.IMPLICIT,
        "::1",
        2465,
        "a@b",
        "p/w:",
    )
    assert "p/w" not in repr(found)


# Servers that refuse, for now or for good.


def test_greylisting_passes_and_each_recipient_has_the_mail_once(
    post: Post, channel: EmailChannel, clock: Ticking
) -> None:
    post.refuses = {ANN: ["451 4.7.1 come back later"] * 2, BEN: ["451 4.7.1 come back later"]}
    box = story.mailbox(post.url())
    with pytest.raises(TransientError, match=r"a recipient for now \(451\)"):
        channel.deliver(box, story.news("e1"), seconds=10)
    with pytest.raises(TransientError, match=r"1 of 2 recipients are refused for now \(451\)"):
        channel.deliver(box, story.news("e1"), seconds=10)
    assert [got.to for got in post.mails] == [(BEN,)]
    assert channel.deliver(box, story.news("e1"), seconds=10).detail == "mail to 2"
    assert [got.to for got in post.mails] == [(BEN,), (ANN,)]
    assert len({got.mail["Message-ID"] for got in post.mails}) == 1


def test_a_mailbox_that_stays_full_does_not_hold_up_the_others_for_ever(
    post: Post, channel: EmailChannel, clock: Ticking
) -> None:
    post.refuses = {ANN: ["452 4.2.2 full"] * 9}
    box = story.mailbox(post.url())
    with pytest.raises(TransientError):
        channel.deliver(box, story.news("e1"), seconds=10)
    clock.now += PATIENCE - timedelta(seconds=1)
    with pytest.raises(TransientError):
        channel.deliver(box, story.news("e1"), seconds=10)
    clock.now += timedelta(seconds=1)
    assert channel.deliver(box, story.news("e1"), seconds=10).detail == "mail to 1 of 2: the others are refused"
    assert [got.to for got in post.mails] == [(BEN,)]


def test_one_recipient_who_is_refused_keeps_no_other_from_being_told(post: Post, channel: EmailChannel) -> None:
    post.refuses = {ANN: ["550 5.1.1 nobody"]}
    receipt = channel.deliver(story.mailbox(post.url()), story.news("e1"), seconds=10)
    assert (receipt.sent, receipt.detail) == (True, "mail to 1 of 2: the others are refused")


def test_where_all_recipients_are_refused_it_is_permanent(post: Post, channel: EmailChannel) -> None:
    post.refuses = {ANN: ["550 5.1.1 nobody"], BEN: ["550 5.1.1 nobody"]}
    with pytest.raises(PermanentError, match="every recipient"):
        channel.deliver(story.mailbox(post.url()), story.news("e1"), seconds=10)


@pytest.mark.parametrize(("reply", "kind"), [("452 no room", TransientError), ("554 spam", PermanentError)])
def test_a_refused_mail_passes_or_not_as_its_code_says(
    post: Post, channel: EmailChannel, reply: str, kind: type[DeliveryError]
) -> None:
    post.ends = [reply]
    with pytest.raises(kind, match=f"the mail \\({reply[:3]}\\)") as caught:
        channel.deliver(story.mailbox(post.url()), story.news("e1"), seconds=10)
    assert not isinstance(caught.value, UncertainError)


# Servers that hang or die.


def test_a_refused_connection_was_never_sent(channel: EmailChannel) -> None:
    with pytest.raises(TransientError, match="refused") as caught:
        channel.deliver(story.mailbox(f"smtp+plain://127.0.0.1:{free_port()}"), story.news("e1"), seconds=10)
    assert not isinstance(caught.value, UncertainError)


@pytest.mark.parametrize(("command", "kind"), [("RCPT", TransientError), ("DATA", UncertainError)])
@pytest.mark.parametrize("misery", ["hangs_at", "dies_at"])
def test_a_server_that_hangs_or_dies_leaves_doubt_only_once_the_mail_began_to_leave(
    post: Post, channel: EmailChannel, command: str, kind: type[DeliveryError], misery: str
) -> None:
    setattr(post, misery, command)
    seconds = 0.5 if misery == "hangs_at" else 10
    with pytest.raises(kind) as caught:
        channel.deliver(story.mailbox(post.url()), story.news("e1"), seconds=seconds)
    assert isinstance(caught.value, UncertainError) is (kind is UncertainError)
    assert ("time allowed" in str(caught.value)) is (misery == "hangs_at")
    post.hangs_at = post.dies_at = ""


def test_a_server_that_never_greets_and_one_that_drips_meet_the_total_deadline(channel: EmailChannel) -> None:
    for behaviour in (b"", b"220-one\r\n" * 200):
        with Receiver(acts.silence) as receiver:
            box = story.mailbox(f"smtp+plain://127.0.0.1:{receiver.port}")
            assert behaviour is not None
            with pytest.raises(TransientError, match="time allowed"):
                channel.deliver(box, story.news("e1"), seconds=0.5)
