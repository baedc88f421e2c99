"""The connection to Redis that the queues and the live log share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from .errors import QueueUnavailable
from .settings import RedisSettings, read_secret

ANSWER_S = 4.0

Answer = TypeVar("Answer")


class RedisClient:
    """A server that may be away. Every call answers within some seconds or raises QueueUnavailable."""

    def __init__(self, settings: RedisSettings) -> None:
        self._where = f"{settings.host}:{settings.port}"
        self._away_since: float | None = None
        self.redis = Redis(
            host=settings.host,
            port=settings.port,
            ssl=settings.tls,
            credential_provider=_Password(settings.password_file) if settings.password_file else None,
            socket_connect_timeout=ANSWER_S / 2,
            # ANSWER_S limits a call. With a limit of its own redis-py sends through asyncio.wait_for, which swallows a
            # cancellation that comes at the wrong moment (Python before 3.12), and the process would not end.
            socket_timeout=None,
            # Once, for a connection that ended while it was idle; what is done twice is harmless.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            decode_responses=True,
            protocol=2,  # one form of answer from every version of Redis
        )

    def away_seconds(self) -> float:
        """For how long Redis has not answered, as far as was asked; 0 when it answered last."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since

    async def ask(self, call: Awaitable[Answer], *, limit_s: float = ANSWER_S) -> Answer:
        """The answer to a call. Raises QueueUnavailable."""
        try:
            async with asyncio.timeout(limit_s):
                answer = await call
        except (RedisError, OSError, TimeoutError) as error:
            self._away_since = self._away_since or time.monotonic()
            reason = " ".join(str(error).split()) or f"nothing within {limit_s} s"
            raise QueueUnavailable(
                f"Redis at {self._where} did not answer: {reason.rstrip('.')}.",
                remedy="Backups go on without it; look at the server and its Secret if it lasts.",
            ) from error
        self._away_since = None
        return answer


class _Password(CredentialProvider):
    """The password as the Secret has it when a connection is made."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def get_credentials_async(self) -> tuple[str]:
        return (read_secret(self._file),)
