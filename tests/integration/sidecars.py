"""The sidecar, in the process of the tests and as one of its own, as a pod has it."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from dataguardian.api.app import make_app
from dataguardian.api.clients import Clients
from dataguardian.api.state import STATE
from dataguardian.history import History
from dataguardian.kube.client import Kubernetes, KubernetesUnavailable
from dataguardian.queue import Queue

from .apiserver import ApiServer
from .callers import Client
from .clients import postgres_settings, redis_settings, until
from .services import PostgresServer, RedisServer, Service

PROGRAM = "from dataguardian.cli import main; main()"


@asynccontextmanager
async def connected(
    kube: Kubernetes, postgres: PostgresServer, database: str, redis: RedisServer, folder: Path
) -> AsyncIterator[Clients]:
    """What the API works with."""
    async with (
        History(postgres_settings(postgres, database, folder)) as history,
        Queue(redis_settings(redis, folder)) as queue,
    ):
        yield Clients(kube=kube, history=history, queue=queue)


@asynccontextmanager
async def served(clients: Clients) -> AsyncIterator[Client]:
    """The API on these clients."""
    async with TestClient(TestServer(make_app(clients))) as http:
        yield http


async def until_jobs_are_listed(client: Client) -> None:
    """Return when it knows of all jobs, as it does some moments after its start."""
    assert client.app is not None
    state = client.app[STATE]

    async def are_listed() -> bool:
        with suppress(KubernetesUnavailable):
            return all(each.current() is not None for each in (state.backup_jobs, state.sync_jobs))
        return False

    await until(are_listed, what="the jobs were listed", seconds=10)


@dataclass
class Sidecar(Service):
    """``dataguardian api``; ``variables`` are its environment, without the prefix."""

    variables: Mapping[str, object] = field(default_factory=dict)
    kubeconfig: Path = Path()

    def command(self) -> Sequence[str]:
        variables = {**self.variables, "API_PORT": self.port}
        environment = [f"DATAGUARDIAN_{name}={value}" for name, value in variables.items()]
        return ["env", *environment, f"KUBECONFIG={self.kubeconfig}", sys.executable, "-c", PROGRAM, "api"]

    def answers(self) -> bool:
        return self.health() is not None

    def log(self) -> list[dict[str, Any]]:
        """Its lines."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def health(self) -> tuple[int, object] | None:
        """The status and the body of ``/health``; None when nobody answers."""
        return self.get("/health")

    def get(self, path: str, *, seconds: float = 5) -> tuple[int, object] | None:
        """The status and the body of a path; None when nobody answers in time."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=seconds) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)
        except OSError:
            return None


def sidecar_of(
    apiserver: ApiServer, postgres: PostgresServer, database: str, redis: RedisServer, folder: Path
) -> Sidecar:
    """One that works with these services; its secrets are files in the folder."""
    history, queue = postgres_settings(postgres, database, folder), redis_settings(redis, folder)
    variables = {
        "POSTGRES_HOST": history.host,
        "POSTGRES_PORT": history.port,
        "POSTGRES_DATABASE": database,
        "POSTGRES_USERNAME_FILE": history.username_file,
        "POSTGRES_PASSWORD_FILE": history.password_file,
        "REDIS_HOST": queue.host,
        "REDIS_PORT": queue.port,
        "REDIS_PASSWORD_FILE": queue.password_file,
    }
    return Sidecar(variables=variables, kubeconfig=apiserver.kubeconfig)
