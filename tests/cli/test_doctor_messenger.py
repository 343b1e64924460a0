"""`incidentd doctor` asks mail servers and the hosts of webhooks, and sends nothing."""

import ssl
from pathlib import Path

from incidentd.cli.doctor.finding import Grade
from tests.channels.conftest import certificate
from tests.channels.mail import USER, Post
from tests.channels.receiver import Receiver, answer
from tests.cli.test_doctor import Ward, faults, sqlite_blueprint, ward
from tests.servers import free_port

__all__ = ["certificate", "sqlite_blueprint", "ward"]

OK, WARNING, FAULT = Grade.OK, Grade.WARNING, Grade.FAULT
SIGNING = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_what_is_optional_and_unset_is_no_fault(ward: Ward) -> None:
    assert faults(ward.examine()) == []
    ward.expect("destinations", OK, "management-mail (email) is optional and not set up: nobody is told there")
    ward.expect("destinations", OK, "scaling-hook (webhook) is optional and not set up")


def test_a_mail_server_is_greeted_and_no_mail_is_sent(ward: Ward) -> None:
    with Post() as post:
        assert faults(ward.examine(INCIDENTD_SMTP_URL=post.url())) == []
    ward.expect("mail", OK, "management-mail, stakeholders: 127.0.0.1 takes mail, and nobody signs in; none was sent")
    ward.expect("mail", WARNING, "management-mail: incidents@example.com is nobody's")
    assert (post.mails, post.asked) == ([], [])


def test_what_a_mail_server_refuses_is_a_fault(ward: Ward) -> None:
    with Post() as post:
        ward.examine(INCIDENTD_SMTP_URL=post.url("smtp", USER.replace("@", "%40"), "a-password"))
        ward.expect("mail", FAULT, "the mail server doesn't offer STARTTLS")
    ward.examine(INCIDENTD_SMTP_URL=f"smtps://127.0.0.1:{free_port()}")
    ward.expect("mail", FAULT, "the connection was refused")
    ward.examine(INCIDENTD_SMTP_URL="smtp://mail.example.com/a/path")
    ward.expect("mail", FAULT, "the mail server's address is not of the form")


def test_a_webhooks_host_is_reached_and_not_asked(ward: Ward) -> None:
    with Receiver(answer(200, {})) as receiver:
        settings = {"INCIDENTD_SCALING_HOOK_URL": f"{receiver.url}/hook", "INCIDENTD_SCALING_HOOK_SECRET": SIGNING}
        assert faults(ward.examine(**settings)) == []
        ward.expect("webhook scaling-hook", OK, "127.0.0.1 can be reached; nothing was sent")
        assert receiver.requests == []
        ward.examine(**{**settings, "INCIDENTD_SCALING_HOOK_SECRET": "no-secret-of-a-webhook"})
        ward.expect("webhook scaling-hook", FAULT, "its secret signs nothing")
    ward.examine(**{**settings, "INCIDENTD_SCALING_HOOK_URL": "https://nowhere.invalid/hook"})
    ward.expect("webhook scaling-hook", FAULT, "its name could not be resolved")
    ward.examine(**{**settings, "INCIDENTD_SCALING_HOOK_SECRET": None})
    ward.expect("destinations", WARNING, "scaling-hook (webhook) has no usable secret")


def test_a_webhook_with_a_certificate_of_nobody_is_a_fault(ward: Ward, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(answer(200, {}), context=context) as receiver:
        url = f"{receiver.url}/status-page"
        ward.examine(INCIDENTD_STATUS_PAGE_URL=url, INCIDENTD_STATUS_PAGE_SECRET=SIGNING)
    ward.expect("webhook status-page", FAULT, "no secure connection: TLS failed")
