"""Two namespaces, who may do what in the first one, and the API that they call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from dataguardian.api import app
from dataguardian.api.clients import Clients
from dataguardian.history import History
from dataguardian.kube.client import Kubernetes
from dataguardian.queue import Queue

from .apiserver import ApiServer
from .callers import Client, chart_parts, token_of
from .clients import postgres_settings, redis_settings
from .services import PostgresServer, RedisServer


@dataclass(frozen=True, kw_only=True)
class People:
    """The namespaces, and the tokens by who has them."""

    here: str
    there: str
    tokens: dict[str, str]


@contextmanager
def people(apiserver: ApiServer) -> Iterator[People]:
    """Somebody with each of the chart's roles."""
    here, there = apiserver.namespace(), apiserver.namespace()
    with chart_parts(apiserver, "roles"):
        tokens = {
            "no role": token_of(apiserver, here, "no-role", role=None),
            "viewer": token_of(apiserver, here, "viewer", role="viewer"),
            "operator": token_of(apiserver, here, "operator", role="operator"),
            "admin": token_of(apiserver, here, "admin", role="admin"),
            "editor elsewhere": token_of(apiserver, there, "operator", role="operator"),
            "viewer of all": token_of(apiserver, there, "all", role="viewer", everywhere=True),
        }
        yield People(here=here, there=there, tokens=tokens)


@asynccontextmanager
async def served(
    apiserver: ApiServer,
    postgres: PostgresServer,
    database: str,
    redis: RedisServer,
    folder: Path,
    *,
    make: type[Kubernetes] = Kubernetes,
) -> AsyncIterator[tuple[Client, History]]:
    """The API on these services, and its history."""
    async with (
        apiserver.connect(make=make) as kube,
        History(postgres_settings(postgres, database, folder)) as history,
        Queue(redis_settings(redis, folder)) as queue,
        TestClient(TestServer(app.make_app(Clients(kube=kube, history=history, queue=queue)))) as client,
    ):
        yield client, history
