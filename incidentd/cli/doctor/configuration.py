"""Settings, secrets, their files, the rules, the address that people open, and the state folder."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import requests

from incidentd.classify import check
from incidentd.cli.doctor.finding import Finding, fault, ok, warning
from incidentd.cli.doctor.patient import Patient
from incidentd.cli.state import SANDBOX_PAGERDUTY_TOKENS, SANDBOX_TOKENS, TOKENS
from incidentd.settings import names_set
from incidentd.store.survey import sqlite_file

_GIB = 1 << 30
_LITTLE = _GIB
_NEXT_TO_NOTHING = _GIB // 10
_SECONDS = 5.0
_FILE = "_FILE"


def settings(patient: Patient) -> Iterator[Finding]:
    """Every variable that is wrong, and those that are needed and missing."""
    found = [*_wrong(patient), *_missing(patient)]
    yield from found
    if not found:
        yield ok("settings", f"{sum(name.startswith('INCIDENTD_') for name in patient.environ)} are set, all sound")


def _wrong(patient: Patient) -> Iterator[Finding]:
    for line in patient.wrong:
        yield fault("settings", line, "correct or unset that variable; `incidentd settings` says what it may be")


def _missing(patient: Patient) -> Iterator[Finding]:
    given = patient.settings
    by_up = "or name the folder of `incidentd up` with --state, which makes one at its start"
    if not given.sources() and not any(line.startswith("INCIDENTD_WEBHOOK_TOKEN") for line in patient.wrong):
        says = "neither INCIDENTD_WEBHOOK_TOKEN nor INCIDENTD_WEBHOOK_TOKENS is set: Alertmanager could not come in"
        yield fault("settings", says, f"set either, {by_up}")
    if given.api_token is None:
        says = "INCIDENTD_API_TOKEN is not set: programs and people could not come in"
        yield fault("settings", says, f"set INCIDENTD_API_TOKEN, {by_up}")
    if given.slack_bot_token is not None and not (given.slack_signing_secret or given.slack_app_token):
        mend = (
            "set INCIDENTD_SLACK_SIGNING_SECRET to the app's signing secret, under Basic Information; or, where Slack"
            " can't reach this address, INCIDENTD_SLACK_APP_TOKEN"
        )
        yield fault("settings", "INCIDENTD_SLACK_SIGNING_SECRET is not set: no button in Slack is believed", mend)


def files(patient: Patient) -> Iterator[Finding]:
    """Files that hold secrets, and whether others than their owner's group may read or change them."""
    secrets = list(_secret_files(patient))
    exposed = [finding for name, path in secrets if (finding := _exposed(name, path))]
    yield from exposed
    if secrets and not exposed:
        count = "1 file that holds a secret is" if len(secrets) == 1 else f"{len(secrets)} files that hold secrets are"
        yield ok("files", f"{count} closed to other users")
    yield from _database_file(patient)


def _database_file(patient: Patient) -> Iterator[Finding]:
    """It holds who was called about what. A folder that is closed closes what is in it."""
    file = patient.database_url and sqlite_file(patient.database_url)
    if not file or not file.exists():
        return
    if not file.resolve().parent.stat().st_mode & stat.S_IXOTH:
        return
    if finding := _exposed("the database", file):
        yield finding


def _secret_files(patient: Patient) -> Iterator[tuple[str, Path]]:
    for name, value in sorted(patient.environ.items()):
        if name.startswith("INCIDENTD_") and name.endswith(_FILE):
            yield name, Path(value)
    made = {**TOKENS, **SANDBOX_TOKENS, **SANDBOX_PAGERDUTY_TOKENS}
    for path in (patient.state / file for file in made.values()):
        if path.exists():
            yield str(path), path


def _exposed(name: str, path: Path) -> Finding | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if mode & stat.S_IWOTH:
        return fault("files", f"{name}: every user of this machine may change the file", f"chmod 600 {path}")
    if mode & stat.S_IROTH:
        return warning("files", f"{name}: every user of this machine may read the file", f"chmod 600 {path}")
    return None


def rules(patient: Patient) -> Iterator[Finding]:
    """Whether the rules folder is sound, and what it warns of."""
    folder = patient.settings.rules
    for line in patient.unsound:
        yield fault("rules", line, f"correct it under {folder}, then `incidentd rules check`")
    if open_to_all := _changeable(folder):
        says = f"every user of this machine may change {open_to_all}, and so who is paged"
        yield fault("rules", says, f"chmod -R o-w {folder}")
    if patient.rules is None:
        return
    result = check(patient.rules, names_set(patient.environ))
    for each in result.warnings:
        yield warning("rules", str(each), f"look at it under {folder}; docs/rules.md explains each field")
    rows = sum(result.rows.values())
    yield ok("rules", f"{rows} rows in {len(result.rows)} tables, version {result.version[:12]}")


def _changeable(folder: Path) -> Path | None:
    """What of the rules anybody may write."""
    found = [folder, *folder.rglob("*.yaml")]
    return next((each for each in found if each.exists() and each.stat().st_mode & stat.S_IWOTH), None)


def public_address(patient: Patient) -> Iterator[Finding]:
    """Whether the links in cards and pages lead to an address that people can open."""
    about, url = "public address", patient.settings.public_url
    mend = "set INCIDENTD_PUBLIC_URL to the https:// address that people type, the same on every machine"
    if url is None:
        lead = f"INCIDENTD_PUBLIC_URL is not set: links lead to {patient.settings.base_url}"
        yield warning(about, lead + (", which only this machine can open" if _is_own(lead) else ""), mend)
        return
    host = urlsplit(url).hostname or ""
    if is_loopback(host):
        yield fault(about, f"{url} leads each reader to their own machine", mend)
    elif not _has_address(host):
        yield fault(about, f"{url}: no such name is known here", f"{mend}, and let its name be known")
    else:
        yield _opened(url, mend)


def _is_own(text: str) -> bool:
    return is_loopback(urlsplit(text.rpartition(" ")[2]).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether only this machine is meant, or no address at all."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _has_address(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _opened(url: str, mend: str) -> Finding:
    about = "public address"
    try:
        status = requests.get(f"{url}/-/healthy", timeout=_SECONDS, allow_redirects=False).status_code
    except requests.RequestException as error:
        mend = "look at the proxy before incidentd, its certificate and the name; from outside it may still be open"
        return warning(about, f"{url} can't be opened from here ({type(error).__name__})", mend)
    if status != requests.codes.ok:
        mend = "let the proxy before incidentd pass all paths on to INCIDENTD_LISTEN"
        return warning(about, f"{url}/-/healthy answers with {status}, so incidentd is not behind it now", mend)
    if urlsplit(url).scheme == "http":
        return warning(about, f"{url} is open, without TLS: tokens can be read on the way", mend)
    return ok(about, f"{url} is open")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room for the data, and whether this user may write there."""
    file = patient.database_url and sqlite_file(patient.database_url)
    folder = file.resolve().parent if file else patient.state
    if not folder.is_dir():
        if file:
            yield warning("disk", f"{folder} doesn't exist yet", "start `incidentd up`, which makes it")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield fault("disk", f"this user may not write in {folder}", f"run as its owner, or chown {folder}")
    if folder.stat().st_mode & stat.S_IWOTH:
        yield fault("disk", f"every user of this machine may write in {folder}", f"chmod o-w {folder}")
    yield _room(folder)


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    says = f"{free / _GIB:.1f} GiB are free in {folder}"
    mend = "make room: delete what isn't incidentd's, or `incidentd prune`, or enlarge the disk"
    if free < _NEXT_TO_NOTHING:
        return fault("disk", f"only {free >> 20} MiB are free in {folder}", mend)
    return warning("disk", f"only {says}", mend) if free < _LITTLE else ok("disk", says)
