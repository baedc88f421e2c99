"""One of each real service for the whole test session; a test takes its own database, bucket or key space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pytest

from .apiserver import ApiServer
from .services import PostgresServer, RedisServer, S3Server, Service

ServiceT = TypeVar("ServiceT", bound=Service)


def _running(service: ServiceT) -> Iterator[ServiceT]:
    try:
        service.start()
        yield service
    finally:
        service.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; ``database()`` gives an empty database."""
    yield from _running(PostgresServer())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server with a password and no persistence."""
    yield from _running(RedisServer())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server; ``bucket()`` gives an empty bucket."""
    yield from _running(S3Server())


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ApiServer]:
    """A Kubernetes API server with our CRDs; ``namespace()`` gives an empty namespace."""
    yield from _running(ApiServer())
