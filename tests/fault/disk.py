"""A small disk that can be filled. Where the tests may not mount one, the processes' files may not grow any more."""

import errno
import resource
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_ROOM = 64 * 1024
_BLOCK = b"." * 4096


class Disk(Protocol):
    """``folder`` is on it. ``pids`` are those of the processes that write there."""

    folder: Path

    def fill(self, pids: Collection[int]) -> None:
        """From now on next to nothing can be put on it."""
        ...

    def free(self, pids: Collection[int]) -> None:
        """There is room again."""
        ...


@dataclass
class Mounted:
    """A filesystem of its own: ENOSPC."""

    folder: Path

    def fill(self, pids: Collection[int]) -> None:
        """Take all the room that is left."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(_BLOCK)
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def free(self, pids: Collection[int]) -> None:
        """Give it back."""
        (self.folder / "ballast").unlink()


@dataclass
class Limited:
    """No file may become larger than the largest one is, and a little: EFBIG."""

    folder: Path

    def fill(self, pids: Collection[int]) -> None:
        """Lower the limit of each process."""
        largest = max(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        self._limit(pids, largest + _ROOM)

    def free(self, pids: Collection[int]) -> None:
        """Lift it."""
        self._limit(pids, resource.RLIM_INFINITY)

    def _limit(self, pids: Collection[int], size: int) -> None:
        for pid in pids:
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


@contextmanager
def limited(folder: Path, size: str) -> Iterator[Disk]:
    """Files that stop to grow."""
    yield Limited(folder)


@contextmanager
def realest(folder: Path, size: str) -> Iterator[Disk]:
    """A disk of this size; where none may be mounted, files that stop to grow."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "incidentd-test", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Limited(place)
        return
    try:
        yield Mounted(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
