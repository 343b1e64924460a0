"""Do the examples of the tables hold."""

from dataclasses import dataclass
from datetime import UTC, datetime

from incidentd.alert import Alert
from incidentd.classify.classify import classify
from incidentd.classify.line import printable
from incidentd.classify.rules import Rules
from incidentd.classify.table import Example
from incidentd.classify.verdict import Verdict
from incidentd.errors import Fault

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """An example, and what the rules say of it."""

    example: Example
    verdict: Verdict

    @property
    def holds(self) -> bool:
        """Whether row and tier are the expected ones."""
        return (self.verdict.row, self.verdict.tier) == (self.example.row, self.example.tier)

    @property
    def difference(self) -> Fault:
        """What was expected, and what came of it; of an example that does not hold."""
        example, verdict = self.example, self.verdict
        cause = f"expected {example.row} {example.tier}, got {verdict.row} {verdict.tier} ({printable(verdict.reason)})"
        return Fault(example.file, example.line, "", cause)


def run_examples(rules: Rules) -> list[ExampleResult]:
    """Every example of every table, in the order of the files."""
    return [
        ExampleResult(example, classify(alert_of(example), rules))
        for table in rules.tables.values()
        for example in table.examples
    ]


def alert_of(example: Example) -> Alert:
    """An alert with the example's labels and annotations."""
    return Alert("0" * 16, example.labels, example.annotations, _ANY_TIME, None, firing=True)
