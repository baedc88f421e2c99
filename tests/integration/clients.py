"""How the tests bring our own clients and their services together, and services to a halt."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dataguardian.settings import PostgresSettings, RedisSettings

from .services import PostgresServer, RedisServer, Service


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


async def until(condition: Callable[[], Awaitable[object]], *, what: str, seconds: float = 90) -> None:
    """Return when the condition holds. Raises TimeoutError, naming ``what``, when it never does."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.05)


def hold_commits(server: PostgresServer, *, held: bool) -> None:
    """Let each commit wait for a standby that does not exist: after it is made, before it is answered."""
    standbys = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'" if held else "ALTER SYSTEM RESET ALL"
    server.sql("postgres", standbys, "SELECT pg_reload_conf()")


@contextmanager
def frozen(service: Service) -> Iterator[None]:
    """The service and its children stand still inside this block; the kernel still takes connections."""
    assert service.process is not None
    parent = service.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    pids = [parent, *map(int, children)]
    try:
        _send(pids, signal.SIGSTOP)
        yield
    finally:
        _send(pids, signal.SIGCONT)


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a child that has ended meanwhile
            os.kill(pid, number)
