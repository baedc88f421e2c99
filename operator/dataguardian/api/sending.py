"""Answers that must be taken in time: a reader who does not holds memory and a connection."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

SENT_WITHIN_S = 30.0


class Sent(web.Response):
    """An answer that is cut off, with its connection, when its reader does not take it within SENT_WITHIN_S."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Know whose connection it is, and send the head."""
        self._to = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body. Raises ConnectionResetError when it was cut off."""
        try:
            async with asyncio.timeout(SENT_WITHIN_S):
                await super().write_eof(data)
        except TimeoutError:
            if self._to is not None:
                self._to.abort()
            raise ConnectionResetError("The answer was not taken in time") from None
