"""How the operator's process answers by HTTP, as a standby too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ..settings import EVERY_ADDRESS


@asynccontextmanager
async def listening(app: web.Application, *, port: int) -> AsyncIterator[None]:
    """Answer inside this block."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, EVERY_ADDRESS, port).start()
        yield
    finally:
        await runner.cleanup()
