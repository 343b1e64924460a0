"""Canaries: the values that tests give to secrets. One that shows up anywhere is a leak, and fails the run.

``of`` makes one for each name; ``leaks`` is the only place that looks for them. Every text that a test prints or logs
passes it (``tests/conftest.py``), every answer of the application (``tests/web/client.py``), and all that a running
incidentd leaves behind (``tests/e2e/test_canary.py``).
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator

MARK = "cAnArY"
"""What stands in each of them, and nowhere else."""

_FOUND = re.compile(rf"{MARK}[0-9a-f]{{26}}")


def of(name: str) -> str:
    """The canary of the secret of this name: always the same 32 letters and digits, as PagerDuty's keys have them."""
    return f"{MARK}{hashlib.sha256(name.encode()).hexdigest()[:26]}"


def leaks(text: str | bytes, names: Iterable[str] = ()) -> list[str]:
    """The canaries in a text, plain (no URL quotes anything in them); those of ``names`` also in base64."""
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    found = _FOUND.findall(told)
    for name in names:
        found += [name for form in disguises(of(name)) if form in told]
    return found


def disguises(value: str) -> Iterator[str]:
    """How a value looks inside of base64, as basic auth has it."""
    # Wherever it stands in what is encoded, at least one of these three is a part of it.
    for shift in range(3):
        yield b64encode(b"." * shift + value.encode())[4:-4].decode()
