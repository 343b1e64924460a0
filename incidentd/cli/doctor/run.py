"""All checks side by side, each under a deadline, and what they found, in a fixed order."""

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
import typer
from rich.console import Console
from rich.text import Text

from incidentd.cli.doctor.configuration import disk, files, public_address, rules, settings
from incidentd.cli.doctor.dependency import clock, database, redis_server
from incidentd.cli.doctor.entrance import sources, spool
from incidentd.cli.doctor.finding import Check, Finding, Grade, fault
from incidentd.cli.doctor.instance import instance
from incidentd.cli.doctor.patient import Patient, patient
from incidentd.cli.doctor.receiver import receivers
from incidentd.cli.doctor.record import records
from incidentd.cli.doctor.slack_socket import socket_mode
from incidentd.cli.doctor.trying import note
from incidentd.cli.doctor.upstream import alertmanagers
from incidentd.process.log import configure, escape
from incidentd.process.redaction import Redactor
from incidentd.settings import hidden_values

DEADLINE_SECONDS = 10.0
_WIDTH = max(map(len, Grade))
_STYLES = {Grade.OK: "green", Grade.WARNING: "bold yellow", Grade.FAULT: "bold red"}

log = structlog.get_logger("incidentd.doctor")


def run(environ: Mapping[str, str], state: Path, *, as_json: bool) -> int:
    """Examine, and print what was found. Returns 1 where there is any fault, else 0."""
    examined = patient(environ, state)
    names = examined.rules.secret_names if examined.rules else ()
    hidden = hidden_values(examined.settings, examined.environ, names)
    configure("CRITICAL", hidden)
    findings = [_clean(each, Redactor(hidden)) for each in examine(checks(examined), DEADLINE_SECONDS)]
    expected = note(examined, findings)
    if as_json:
        typer.echo(to_json(findings, expected))
    else:
        show(findings, Console(soft_wrap=True, highlight=False), expected)
    return int(any(each.grade is Grade.FAULT for each in findings))


def checks(examined: Patient) -> list[Check]:
    """Everything there is to look at."""
    looks = {
        "settings": settings,
        "files": files,
        "sources": sources,
        "rules": rules,
        "disk": disk,
        "spool": spool,
        "database": database,
        "records": records,
        "clock": clock,
        "Redis": redis_server,
        "public address": public_address,
        "instance": instance,
    }
    return [
        *(Check(about, partial(look, examined)) for about, look in looks.items()),
        *alertmanagers(examined),
        *receivers(examined),
        *socket_mode(examined),
    ]


@dataclass(slots=True)
class _Look:
    """One check under way; what it has found so far counts, even if it never ends."""

    check: Check
    findings: list[Finding] = field(default_factory=list)
    thread: threading.Thread | None = None

    def begin(self) -> None:
        self.thread = threading.Thread(target=self._go, name=f"doctor {self.check.about}", daemon=True)
        self.thread.start()

    def end(self, at: float) -> list[Finding]:
        if self.thread:
            self.thread.join(max(0.0, at - time.monotonic()))
        if self.thread and self.thread.is_alive():
            mend = "see whether what it asks answers at all; then run this again"
            return [*self.findings, fault(self.check.about, "the check did not end in time", mend)]
        return self.findings

    def _go(self) -> None:
        try:
            for finding in self.check.look():
                self.findings.append(finding)
        except Exception as error:
            log.critical("check_failed", about=self.check.about, exc_info=True)
            mend = "this is a fault of incidentd's own: please report it"
            self.findings.append(fault(self.check.about, f"the check failed ({type(error).__name__})", mend))


def examine(asked: Iterable[Check], seconds: float) -> list[Finding]:
    """What all checks found, in their order; one that takes longer than ``seconds`` is a fault by itself."""
    looks = [_Look(each) for each in asked]
    end = time.monotonic() + seconds
    for look in looks:
        look.begin()
    return [finding for look in looks for finding in look.end(end)]


def to_json(findings: Sequence[Finding], expected: str = "") -> str:
    """``{"grade": the worst, "findings": [{about, grade, says, mend}], "note": what of it is to be expected}``."""
    worst = max((each.grade for each in findings), key=list(Grade).index, default=Grade.OK)
    listed = [
        {"about": each.about, "grade": str(each.grade), "says": each.says, "mend": each.mend} for each in findings
    ]
    return json.dumps({"grade": str(worst), "findings": listed, "note": expected}, indent=2)


def show(findings: Sequence[Finding], console: Console, expected: str = "") -> None:
    """A line for each finding, how to mend it below, the sum, and what of it is to be expected."""
    width = max((len(each.about) for each in findings), default=0)
    for each in findings:
        line = Text.assemble((f"{each.grade:<{_WIDTH}}", _STYLES[each.grade]), "  ", f"{each.about:<{width}}", "  ")
        console.print(line.append(each.says))
        if each.mend:
            console.print(Text(" " * (_WIDTH + width + 4) + f"→ {each.mend}", "dim"))
    console.print(_sum(findings))
    if expected:
        console.print(expected)


def _sum(findings: Sequence[Finding]) -> str:
    counted = {grade: sum(each.grade is grade for each in findings) for grade in Grade}
    return (
        f"\n{counted[Grade.OK]} ok, {_many(counted[Grade.WARNING], 'warning')}, {_many(counted[Grade.FAULT], 'fault')}"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _clean(finding: Finding, redactor: Redactor) -> Finding:
    """No secret, and no character that would move the cursor."""
    says, mend = (escape(redactor.text(text)) for text in (finding.says, finding.mend))
    return Finding(finding.about, finding.grade, says, mend)
