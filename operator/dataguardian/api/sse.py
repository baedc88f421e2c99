"""Server-sent events as they go over the wire, to clients that may not read them.

Not aiohttp-sse: it sends one event a write, knows no comments, and waits without a limit for a client that does not
read.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import hdrs, web

EVENTS = "text/event-stream"
LAST = "Last-Event-ID"
RETRY_MS = 3000  # after which a client that lost its stream comes back
WRITE_S = 10.0  # for a client to take what it was sent; some 64 KiB beside the kernel's buffers wait for it
HEADERS = {hdrs.CONTENT_TYPE: EVENTS, hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}


def event(name: str, data: Any, *, id: object) -> bytes:
    """One event; its data is JSON, which has no line breaks."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), str(id).encode(), encoded(data))


def comment(text: str = "") -> bytes:
    """A line that clients pass by."""
    return f": {text}\n\n".encode()


def position(id: object) -> bytes:
    """An id without an event: where a client that comes back goes on."""
    return f"id: {id}\n\n".encode()


def encoded(data: Any) -> bytes:
    """Data as JSON; bytes are JSON already."""
    return data if isinstance(data, bytes) else msgspec.json.encode(data)


def is_wanted(request: web.Request) -> bool:
    """Whether the client asks for events."""
    return EVENTS in request.headers.get(hdrs.ACCEPT, "").lower()


class Sink:
    """The way to one client."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response = web.StreamResponse(headers=HEADERS)

    async def open(self) -> None:
        """Send the headers, and when to come back."""
        await self.response.prepare(self._request)
        await self.send(b"retry: %d\n\n" % RETRY_MS)

    async def send(self, data: bytes) -> None:
        """Send some bytes. Raises ConnectionError when the client is gone, TimeoutError when it does not read."""
        async with asyncio.timeout(WRITE_S):
            await self.response.write(data)

    def is_gone(self) -> bool:
        """Whether the client has closed the connection."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def abort(self) -> None:
        """Forget the client, with all that it has not taken."""
        if self._request.transport is not None:
            self._request.transport.abort()
