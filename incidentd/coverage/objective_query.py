"""What objectives ask Prometheus for has to be PromQL."""

from collections.abc import Iterable, Iterator

from incidentd.coverage.promql import ExpressionError, check_expression
from incidentd.errors import Fault
from incidentd.objective import Objective


def query_faults(objectives: Iterable[Objective]) -> Iterator[Fault]:
    """Each query that is none."""
    for objective in objectives:
        for query in objective.queries:
            try:
                check_expression(query.text)
            except ExpressionError as error:
                yield Fault(objective.file, query.line, objective.name, f"{query.part}: {error}")
