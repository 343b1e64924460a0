"""A running incidentd on this machine, as its own probes tell."""

import socket
from collections.abc import Iterator

import requests

from incidentd.cli.doctor.finding import Finding, fault, ok
from incidentd.cli.doctor.patient import Patient
from incidentd.process.log import escape
from incidentd.settings import Settings

_SECONDS = 6.0
"""`/-/delivering` takes up to 3 s to say no."""
_CONNECT_SECONDS = 1.0
_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_LONGEST_DETAIL = 300
_IN_VAIN = " tried in vain at "
"""What ``/-/delivering`` says of pages that a worker tried to send (``incidentd.store.overdue``)."""
_MEND = {
    "/-/healthy": "something else has this port: end it, or set INCIDENTD_LISTEN to another",
    "/-/ready": "the database can't be written: look at its line here, and at the log",
    "/-/delivering": "see that `incidentd worker` runs (`up` has one), and what its log says",
}


def instance(patient: Patient) -> Iterator[Finding]:
    """What `/-/healthy`, `/-/ready` and `/-/delivering` answer, where something listens."""
    address = _address(patient.settings)
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except OSError:
        yield ok("instance", f"nothing runs at {patient.settings.listen} now")
        return
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    with requests.Session() as session:
        session.trust_env = False
        for path, mend in _MEND.items():
            yield _asked(session, f"http://{host}:{address[1]}", path, mend)


def _address(settings: Settings) -> tuple[str, int]:
    host = settings.listen_host
    return ("127.0.0.1" if host in _ANY else host, settings.listen_port)


def _asked(session: requests.Session, base: str, path: str, mend: str) -> Finding:
    try:
        answer = session.get(base + path, timeout=_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        return fault("instance", f"{path} gave no answer ({type(error).__name__})", mend)
    if answer.status_code == requests.codes.ok:
        return ok("instance", f"{path} is well")
    said = _detail(answer)
    if _IN_VAIN in said:
        mend = "that receiver refuses, or can't be reached: look at its line here, and at the log's deliveries"
    return fault("instance", f"{path} answers with {answer.status_code}{f': {said}' if said else ''}", mend)


def _detail(answer: requests.Response) -> str:
    try:
        said = answer.json().get("detail")
    except (ValueError, AttributeError):
        return ""
    return escape(said[:_LONGEST_DETAIL]) if isinstance(said, str) else ""
