"""What the processes hold at an instant, as the kernel and the servers tell it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.fault.soak.growth import MEMORY_PERCENT, Growth, growth
from tests.servers import RedisServer

MEGABYTE = 1024 * 1024


@dataclass
class Samples:
    """All that were taken: by name of a process, and of what they share."""

    memory: dict[str, list[float]] = field(default_factory=dict)
    files: dict[str, list[float]] = field(default_factory=dict)
    connections: list[float] = field(default_factory=list)
    redis: list[float] = field(default_factory=list)

    def take(self, processes: Mapping[str, int], connections: Callable[[], int], redis: RedisServer) -> None:
        """One more of each.

        Raises:
            ProcessLookupError, FileNotFoundError: a process is gone.
        """
        for name, pid in processes.items():
            self.memory.setdefault(name, []).append(resident(pid) / MEGABYTE)
            self.files.setdefault(name, []).append(open_files(pid))
        self.connections.append(connections())
        with redis.client() as client:
            self.redis.append(client.info("memory")["used_memory"] / MEGABYTE)

    def growths(self) -> list[Growth]:
        """How much each has grown."""
        found = [growth(f"memory of {name}", "MB", values, MEMORY_PERCENT) for name, values in self.memory.items()]
        found += [growth(f"open files of {name}", "", values) for name, values in self.files.items()]
        found.append(growth("database connections", "", self.connections))
        found.append(growth("memory of Redis", "MB", self.redis, MEMORY_PERCENT))
        return found


def resident(pid: int) -> int:
    """Resident memory in bytes (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    """Descriptors, sockets among them."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - the entries are counted, not read


def holding(pid: int, path: str) -> int:
    """How many descriptors a process has on a file."""
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += str(entry.readlink()) == path
        except FileNotFoundError:
            continue
    return count
