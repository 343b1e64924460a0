"""What the sandbox received, kept in a file of JSON lines, so that a restart finds all as it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from incidentd.sandbox.answer import JsonObject


class Journal:
    """An append-only file, one JSON object a line, written through to the operating system at each one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def lines(self) -> Iterator[JsonObject]:
        """What was kept, oldest first. A line that a kill or a full disk cut off is left out."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    yield entry

    def append(self, entry: JsonObject) -> None:
        """Adds one line; it survives the end of this process, though not of the machine."""
        file = self._file or self._open()
        file.write(json.dumps(entry, separators=(",", ":")) + "\n")
        file.flush()

    def close(self) -> None:
        """Ends writing; a later ``append`` opens the file anew."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[str]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._cut_torn_line()
        self._file = self._path.open("a", encoding="utf-8")
        return self._file

    def _cut_torn_line(self) -> None:
        """Without this the next line would be glued to the torn one, and both be lost."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def _entry(line: str) -> JsonObject | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
