"""Why a server can't be reached, in a few words: what is to be done differs."""

import socket
import ssl
from collections.abc import Iterator

_SAID = {
    "failed to resolve host": "no such name is known here",
    "could not translate host name": "no such name is known here",
    "Name or service not known": "no such name is known here",
    "Connection refused": "the connection was refused: nothing listens there",
    "timeout expired": "it gave no answer in time",
    "password authentication failed": "it refuses the password, or knows no such user",
    "no password supplied": "it asks for a password, and the address has none",
    "does not exist": "it has no such database or user",
    "too many clients": "it has no connection left",
}
"""What drivers say, by the words of it that no version of them has changed."""


def why(error: BaseException) -> str:
    """What a driver's error comes to; empty where that is not known. Repeats none of its words: they hold addresses."""
    causes = list(_causes(error))
    for each in causes:
        if isinstance(each, socket.gaierror):
            return _SAID["Name or service not known"]
        if isinstance(each, ConnectionRefusedError):
            return _SAID["Connection refused"]
        if isinstance(each, TimeoutError):
            return _SAID["timeout expired"]
        if isinstance(each, ssl.SSLError):
            return "TLS failed"
        if isinstance(each, FileNotFoundError):
            return "there is no such socket"
    said = " ".join(map(str, causes))
    return next((meaning for words, meaning in _SAID.items() if words in said), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
