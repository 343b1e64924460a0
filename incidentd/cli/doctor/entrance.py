"""Who may send webhooks, and where pages are kept that were sent while the database was away."""

import os
from collections.abc import Iterator
from pathlib import Path

from incidentd.cli.doctor.finding import Finding, fault, ok, warning
from incidentd.cli.doctor.patient import Patient
from incidentd.lifecycle.page_folder import PageFolder
from incidentd.process.spool import Spool

_TOKENS = "INCIDENTD_WEBHOOK_TOKENS"
_SPOOL = "INCIDENTD_SPOOL"


def sources(patient: Patient) -> Iterator[Finding]:
    """The senders by name, as far as their tokens could be read."""
    if any(line.startswith(_TOKENS) for line in patient.wrong):
        yield fault("sources", f"{_TOKENS} can't be used: its senders can't come in", "see its line under settings")
        return
    found = patient.settings.sources()
    if not found:
        return
    names = ", ".join(
        f"{each.name} ({len(each.tokens)} tokens)" if len(each.tokens) > 1 else each.name for each in found
    )
    yield ok("sources", f"may send webhooks: {names}")


def spool(patient: Patient) -> Iterator[Finding]:
    """Whether this user may write there, and whether anything still waits for the database."""
    given = {_SPOOL, f"{_SPOOL}_FILE"} & patient.environ.keys()
    folder = (patient.settings.spool if given else patient.state / "spool").resolve()
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        mend = f"set {_SPOOL} to a folder of `serve`'s user, or chown {nearest}"
        yield fault("spool", f"{nearest}: this user can keep no pages there while the database is away", mend)
        return
    yield _waiting(folder)


def _waiting(folder: Path) -> Finding:
    count = len(PageFolder(Spool(folder)).notes())
    if count:
        says = f"{count} {'page waits' if count == 1 else 'pages wait'} in {folder}, sent while the database was away"
        mend = "see that `serve` or `up` runs with this folder, and reaches the database and the receivers"
        return warning("spool", says, mend)
    return ok("spool", f"{folder} is empty, and this user may write there")
