"""What Prometheus reads, as text.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterable

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from incidentd import __version__

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = sorted(families, key=lambda each: each.name)

    def collect(self) -> Iterable[Metric]:
        return self._families


def text(families: Iterable[Metric]) -> bytes:
    """These metrics, in the order of their names, and the version that runs."""
    return generate_latest(_Families([*families, _build()]))


def _build() -> Metric:
    build = GaugeMetricFamily("incidentd_build_info", "The version of incidentd that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    return build
