"""Settings that point our own clients at the tests' services, with secrets in files as in a pod."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from dataguardian.settings import PostgresSettings, RedisSettings

from .services import PostgresServer, RedisServer


def postgres_settings(server: PostgresServer, database: str, folder: Path) -> PostgresSettings:
    """The history database."""
    return PostgresSettings(
        host=server.host,
        port=server.port,
        database=database,
        username_file=_secret(folder / "postgres-username", server.user),
        password_file=_secret(folder / "postgres-password", server.password),
        sslmode="prefer",
    )


def redis_settings(server: RedisServer, folder: Path) -> RedisSettings:
    """The queue server."""
    password = _secret(folder / "redis-password", server.password)
    return RedisSettings(host=server.host, port=server.port, password_file=password, tls=False)


def _secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    return path


async def until(condition: Callable[[], Awaitable[object]], *, what: str, seconds: float = 30) -> None:
    """Return when the condition holds. Raises TimeoutError, naming ``what``, when it never does."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.05)
