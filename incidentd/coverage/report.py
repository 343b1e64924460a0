"""What ``incidentd rules check --alerts`` says: for people, and as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from incidentd.classify.check import Check
from incidentd.classify.line import printable
from incidentd.coverage.prove import Proof
from incidentd.errors import Fault


def show_proof(proof: Proof, files: int) -> str:
    """How many alerts are proven, then each fault, then each warning."""
    faults = [each for each in proof.findings if each.is_fault]
    warnings = [each for each in proof.findings if not each.is_fault]
    about = {(each.place.file, each.place.line, each.place.row) for each in proof.findings}
    proven = sum((each.rule.file, each.rule.line, each.rule.name) not in about for each in proof.alerts)
    lines = [
        f"Alerts: {len(proof.alerts)} in {files} file{'' if files == 1 else 's'}. "
        f"{proven} have a row, a tier, a runbook and somebody at every level.",
        *(f"fault: {printable(str(each))}" for each in faults),
        *(f"warning: {printable(str(each))}" for each in warnings),
    ]
    if faults:
        lines.append(
            f"{len(faults)} fault{'' if len(faults) == 1 else 's'}: not every alert gets to people as it should."
        )
    return "\n".join(lines)


def check_as_json(check: Check, proof: Proof | None, further: Iterable[str] = ()) -> dict[str, Any]:
    """All of it. ``further`` are warnings about objectives."""
    findings = proof.findings if proof else ()
    warnings = [_plain("rules", each) for each in check.warnings]
    warnings += [_plain(str(each.kind), each.place) for each in findings if not each.is_fault]
    warnings += [_plain("budget", Fault("", 0, "", each)) for each in further]
    return {
        "sound": proof is None or proof.holds,
        "version": check.version,
        "rows": dict(check.rows),
        "without_secret": list(check.missing),
        "faults": [_plain(str(each.kind), each.place) for each in findings if each.is_fault],
        "warnings": warnings,
        "alerts": [
            {
                "name": each.rule.name,
                "file": each.rule.file,
                "line": each.rule.line,
                "rows": list(each.rows),
                "tiers": [str(tier) for tier in each.tiers],
                "heartbeats": list(each.heartbeats),
            }
            for each in (proof.alerts if proof else ())
        ],
    }


def faults_as_json(faults: Iterable[Fault], kind: str) -> dict[str, Any]:
    """Of files that can't be used."""
    return {"sound": False, "faults": [_plain(kind, each) for each in faults], "warnings": [], "alerts": []}


def _plain(kind: str, place: Fault) -> Mapping[str, object]:
    return {"kind": kind, "file": place.file, "line": place.line, "row": place.row, "cause": place.cause}
