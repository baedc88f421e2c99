"""Jobs of two namespaces and who may do what with them, as tests of the API's jobs and runs have them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from dataguardian.api.app import make_app
from dataguardian.api.clients import Clients
from dataguardian.history import History
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.queue import Queue
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.common import API_VERSION, Kind
from dataguardian.resources.sync import DATABASE_SYNC_JOB

from .apiserver import ApiServer
from .callers import Client, chart_parts, get, token_of
from .clients import until

BACKUP: JSON = {"datasourceRef": {"name": "orders"}, "storage": {"locations": [{"name": "primary"}]}}
SYNC: JSON = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two namespaces, and the tokens of those who may do something there."""

    apiserver: ApiServer
    here: str
    there: str
    tokens: dict[str, str | None] = field(repr=False)


@contextmanager
def scene_on(apiserver: ApiServer) -> Iterator[Scene]:
    """The chart's roles and admission policies hold inside this block."""
    here, there = apiserver.namespace(), apiserver.namespace()
    with chart_parts(apiserver, "roles", "admission"):
        tokens = {
            "nobody": None,
            "no role": token_of(apiserver, here, "no-role", role=None),
            "viewer": token_of(apiserver, here, "viewer", role="viewer"),
            "operator": token_of(apiserver, here, "operator", role="operator"),
            "admin": token_of(apiserver, here, "admin", role="admin"),
            "viewer elsewhere": token_of(apiserver, there, "viewer", role="viewer"),
            "viewer of all": token_of(apiserver, there, "all", role="viewer", everywhere=True),
        }
        yield Scene(apiserver=apiserver, here=here, there=there, tokens=tokens)


async def make(kube: Kubernetes, kind: Kind[Any], namespace: str, name: str, spec: JSON, status: Any = None) -> JSON:
    """A new object, with a status when one is given."""
    body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
    made = await kube.create(objects_path(kind, namespace), body)
    if status is not None:
        made = await kube.patch(objects_path(kind, namespace, name) + "/status", {"status": status})
    return made


async def clear(kube: Kubernetes, *namespaces: str) -> None:
    """No jobs are there any more."""
    for namespace in namespaces:
        for kind in (BACKUP_JOB, DATABASE_SYNC_JOB):
            for found in (await kube.list(objects_path(kind, namespace)))[0]:
                await kube.delete(objects_path(kind, namespace, found["metadata"]["name"]))


@asynccontextmanager
async def sidecar(scene: Scene, kube: Kubernetes, history: History, queue: Queue) -> AsyncIterator[Client]:
    """The API, once it knows of all jobs."""
    clients = Clients(kube=kube, history=history, queue=queue)
    async with TestClient(TestServer(make_app(clients))) as opened:

        async def knows() -> bool:
            paths = ("/api/backup-jobs", "/api/db-sync-jobs")
            return all([(await get(opened, path, scene.tokens["viewer of all"])).status == 200 for path in paths])

        await until(knows, what="the jobs were listed")
        yield opened
