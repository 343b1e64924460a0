"""How much of a file a power loss would take: its pages that the kernel has, and the disk has not.

cachestat(2), Linux 6.5: https://man7.org/linux/man-pages/man2/cachestat.2.html
"""

import ctypes
import os
from pathlib import Path

_CACHESTAT = 451
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Stat(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recently"))


def unwritten(path: Path) -> int:
    """The pages of a file that are not on the disk yet.

    Raises:
        OSError: this kernel does not tell.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        found, whole = _Stat(), _Range(0, 0)
        if _LIBC.syscall(_CACHESTAT, file, ctypes.byref(whole), ctypes.byref(found), 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(found.dirty + found.writeback)
    finally:
        os.close(file)


def can_tell(folder: Path) -> bool:
    """Whether this kernel and the filesystem of a folder tell the one from the other."""
    path = folder / "probe"
    with path.open("wb", buffering=0) as probe:
        probe.write(b"." * 100_000)
        try:
            before = unwritten(path)
        except OSError:
            return False
        os.fsync(probe.fileno())
        return before > 0 and unwritten(path) == 0
