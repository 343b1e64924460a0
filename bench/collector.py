"""A receiver of pages and cards that accepts all at once and remembers when.

``python -m bench.collector <port>``. ``GET /seen`` tells ``[[kind, mark, seconds], …]`` on the monotonic clock, which
all processes of a machine share; ``POST /forget`` empties it.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

from bench.notification import MARK

_SLACK = json.dumps({"ok": True, "channel": "C0000001", "ts": "1760000000.000100"}).encode()
_PAGERDUTY = json.dumps({"status": "success", "message": "Event processed", "dedup_key": "k"}).encode()

Seen = list[tuple[str, int, float]]


class Collector(asyncio.Protocol):
    """One connection."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Listen."""
        # uvloop's transports only look like asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or 0):
            return
        self._buffer = b""
        status, answer = self._answer(head.split(b" ", 2)[1], body)
        self._transport.write(
            b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
            + answer
        )

    def _answer(self, path: bytes, body: bytes) -> tuple[int, bytes]:
        if path == b"/seen":
            return 200, json.dumps(self._seen).encode()
        if path == b"/forget":
            self._seen.clear()
            return 200, b"{}"
        is_page = path.endswith(b"/v2/enqueue")
        found = MARK.search(body)
        self._seen.append(("page" if is_page else "card", int(found[1]) if found else 0, time.monotonic()))
        return (202, _PAGERDUTY) if is_page else (200, _SLACK)


async def _serve(port: int) -> None:
    seen: Seen = []
    listening = await asyncio.get_running_loop().create_server(lambda: Collector(seen), "127.0.0.1", port, backlog=512)
    await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
