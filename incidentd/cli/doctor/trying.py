"""What is found only because the sandbox stands in for receivers: as it should be, while incidentd is tried out."""

from collections.abc import Iterable

from incidentd.cli.doctor.finding import Finding, Grade
from incidentd.cli.doctor.patient import Patient, patient
from incidentd.cli.doctor.receiver import without_asking
from incidentd.cli.sandbox_set_up import with_sandbox
from incidentd.store.survey import sqlite_file

_GRADES = (Grade.FAULT, Grade.WARNING)


def note(examined: Patient, findings: Iterable[Finding]) -> str:
    """A line that says how much of it is to be expected; empty where no `up` with the sandbox runs on the folder."""
    names = examined.rules.secret_names if examined.rules else ()
    trying = with_sandbox(examined.environ, examined.state, names)
    if trying == examined.environ:
        return _not_begun(examined)
    left = set(without_asking(patient(trying, examined.state)))
    gone = {each for each in without_asking(examined) if each.grade in _GRADES} - left
    counts = [(grade, sum(each in gone for each in findings if each.grade is grade)) for grade in _GRADES]
    said = " and ".join(f"{count} {grade}{'' if count == 1 else 's'}" for grade, count in counts if count)
    if not said:
        return ""
    return (
        f"{said} of these are to be expected: the sandbox stands in for receivers, and nobody real is told yet. Before"
        " going live set what they name (docs/receivers.md), start `incidentd up` again, and run this until no fault is"
        " left."
    )


def _not_begun(examined: Patient) -> str:
    own = (examined.state / "incidentd.db").resolve()
    if examined.state.exists() or sqlite_file(examined.settings.database_url) != own:
        return ""
    return (
        f"Nothing was started on {examined.state} yet. `incidentd up` makes the tokens and the database there, and puts"
        " the sandbox in the place of receivers that are not set up: start it, and run this again."
    )
