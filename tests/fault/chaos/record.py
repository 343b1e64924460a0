"""What is kept of a run in which something was lost, for whoever looks for the cause."""

from pathlib import Path

from tests.fault.chaos.evidence import Evidence
from tests.fault.chaos.summary import Summary
from tests.fault.chaos.verdict import Case


def keep(folder: Path, case: Case, evidence: Evidence, summary: Summary) -> None:
    """``run.log`` in the folder: complaints, faults, what was heard of each alert, its timeline and its pages."""
    lines = [*summary.losses, *(f"{each.what} came twice" for each in summary.unexplained), ""]
    lines += [f"{f.began_at:%X.%f} {f.ended_at:%X.%f} {f.name} {f.detail}" for f in case.faults if f.ended_at]
    for story in case.stories:
        heard, found = case.heard[story.place], evidence.found.get(story.place)
        lines += ["", f"{story.place}: {story.plot}, answered at {case.answers.get(story.place)}"]
        lines += [f"  heard {at:%X.%f} state {number}" for number, at in heard.first_answered.items()]
        for entry in found.timeline if found else ():
            lines.append(f"  {entry.at:%X.%f} {entry.number} {entry.kind} {entry.data}"[:300])
        pages = [page for page in evidence.pages if page.place == story.place]
        lines += [f"  page {p.at:%X.%f} level {p.level} {p.key}{' direct' * p.direct}" for p in pages]
    (folder / "run.log").write_text("\n".join(lines))
