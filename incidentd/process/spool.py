"""A folder of notes that outlive a crash: each is a file, whole or not there at all."""

import os
import uuid
from pathlib import Path

_SUFFIX = ".json"


class Spool:
    """Safe for use by several threads and processes. The folder is made when the first note is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, text: str, *also: str) -> bool:
        """Keep a note under a name, and under others with it; False where there is one of that name already.

        Raises:
            OSError: it can't be kept.
        """
        written = self._written(text)
        try:
            os.link(written, self._path(name))
            for other in also:
                os.link(written, self._path(other))
        except FileExistsError:
            return False
        finally:
            written.unlink()
        self._sync()
        return True

    def names(self) -> list[str]:
        """The names of all notes, in order."""
        return sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}"))

    def note(self, name: str) -> str | None:
        """What the note of that name says; None where there is none.

        Raises:
            OSError: it can't be read.
        """
        try:
            return self._path(name).read_text("utf-8")
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Forget a note, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _written(self, text: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f".{uuid.uuid4().hex}"
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _sync(self) -> None:
        """A file's name is on disk only when its folder is."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
