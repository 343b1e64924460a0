"""One folder in which the processes of one supervisor count together, so that any of them can tell the sum of all.

Each place of a supervisor has files of its own there. The process that takes a dead one's place counts on from what it
finds, so nothing is lost, nothing counts twice, and there are never more files than places.

https://prometheus.github.io/client_python/multiprocess/
"""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder to a process; the library reads it too."""
PLACE = "SUPERVISED_AS"
"""The variable by which a supervisor tells a process its place, such as ``page-1``."""

KINDS = ("counter", "histogram")
_RESERVED_BYTES = 256 * 1024

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def emptied(folder: Path) -> Path:
    """The folder, made anew: what an earlier run counted does not count.

    Raises:
        OSError: it can't be made.
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def counting_in(environ: Mapping[str, str], folder: Path | None) -> dict[str, str]:
    """The environment of processes that count together in ``folder``; None: each counts for itself."""
    kept = {name: value for name, value in environ.items() if name != FOLDER}
    return kept if folder is None else {**kept, FOLDER: str(folder.resolve())}


def shared_folder(environ: Mapping[str, str]) -> Path | None:
    """The folder in which this process counts with others; None where it counts for itself."""
    return Path(environ[FOLDER]) if environ.get(FOLDER) and environ.get(PLACE) else None


def join(environ: Mapping[str, str]) -> Path | None:
    """Let all that is counted from now on be counted in the shared folder. Returns it; None where there is none.

    Where nothing can be written there this process counts for itself: it is here to page people, not to count.
    """
    values.ValueClass = values.MutexValue
    folder = shared_folder(environ)
    if folder is None:
        return None
    place = environ[PLACE]
    try:
        for kind in KINDS:
            _reserve(folder, f"{kind}_{place}.db")
    except OSError as error:
        _log.warning("metrics_not_shared", cause=type(error).__name__)
        return None
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: place)
    return folder


def summed(folder: Path) -> Iterable[Metric]:
    """What all processes have counted in this folder, those that are gone included.

    Raises:
        ValueError: the folder is gone.
    """
    metrics: Iterable[Metric] = MultiProcessCollector(None, str(folder)).collect()
    return metrics


def _reserve(folder: Path, name: str) -> None:
    """Take all the space there will be need of: a mapped file that grows on a full disk would kill the process."""
    if (folder / name).exists():
        return
    new = folder / f"{name}.new"
    new.write_bytes(bytes(_RESERVED_BYTES))
    # Whoever sums up at this moment is to see a whole file, or none.
    new.replace(folder / name)
