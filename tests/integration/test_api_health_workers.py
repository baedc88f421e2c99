"""How the sidecar finds the operator that leads: two operators as processes, on a real API server."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api.workers import WORKERS
from dataguardian.kube.client import JSON, Kubernetes, pods_path
from dataguardian.settings import OperatorsSettings

from .apiserver import ApiServer
from .callers import Client, chart_parts, get, token_of
from .clients import frozen, until
from .operators import Operator
from .services import HOST, PostgresServer, RedisServer, wait_until
from .side_pods import set_pod_status
from .sidecars import connected, served


@pytest.fixture(scope="module")
def apiserver() -> Iterator[ApiServer]:
    """One of its own: these operators look after all that they find."""
    server = ApiServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def pair(
    apiserver: ApiServer, postgres_server: PostgresServer, migrated: str, own_redis: RedisServer
) -> Iterator[tuple[Operator, Operator]]:
    """The operator that leads, and the one that stands by."""
    own = apiserver.namespace()
    operators = [
        Operator(apiserver, postgres_server, migrated, own_redis, own, f"operator-{name}-{own}") for name in "ab"
    ]
    try:
        for operator in operators:
            operator.start()
        wait_until(lambda: any(one.leads for one in operators), what="one operator leads")
        leader, standby = sorted(operators, key=lambda one: not one.leads)
        yield leader, standby
    finally:
        for operator in operators:
            operator.remove()


async def put_pod(kube: Kubernetes, operator: Operator) -> JSON:
    """The pod that the operator would be in: all of these have the hostname of this machine."""
    container = {"name": "operator", "image": "unused", "ports": [{"name": "liveness", "containerPort": operator.port}]}
    body: JSON = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": socket.gethostname()},
        "spec": {"containers": [container]},
    }
    pod = await kube.create(pods_path(operator.namespace), body)
    return await set_pod_status(kube, pod, {"podIP": HOST, "podIPs": [{"ip": HOST}]})


@pytest.fixture
async def client(
    pair: tuple[Operator, Operator], apiserver: ApiServer, kube: Kubernetes, postgres_server: PostgresServer,
    migrated: str, own_redis: RedisServer, tmp_path: Path,
) -> AsyncIterator[Client]:  # fmt: skip
    """The sidecar in the pod of the operator that stands by, with the operator's rights."""
    leader, standby = pair
    await put_pod(kube, leader)
    async with (
        apiserver.connect(user=standby.user) as own,
        connected(own, postgres_server, migrated, own_redis, tmp_path) as clients,
    ):
        operators = OperatorsSettings(namespace=standby.namespace, liveness_port=standby.port)
        async with served(replace(clients, operators=operators)) as opened:
            yield opened


@pytest.fixture(scope="module")
def viewer(apiserver: ApiServer) -> Iterator[str]:
    with chart_parts(apiserver, "roles"):
        yield token_of(apiserver, apiserver.namespace(), "viewer", role="viewer")


async def health(client: Client, viewer: str) -> Any:
    answer = await get(client, "/api/health", viewer)
    assert answer.status == 200
    return answer.body


async def until_status(client: Client, viewer: str, status: str, *, seconds: float = 30) -> Any:
    async def is_so() -> bool:
        return bool((await health(client, viewer))["status"] == status)

    await until(is_so, what=f"the status is {status}", seconds=seconds)
    return await health(client, viewer)


async def test_the_workers_of_the_leader_in_another_pod_are_told_and_those_of_the_next_one(
    pair: tuple[Operator, Operator], client: Client, viewer: str
) -> None:
    leader, standby = pair
    led = await until_status(client, viewer, "ok")

    leader.kill()
    orphaned = await until_status(client, viewer, "degraded", seconds=5)
    wait_until(lambda: standby.leads, what="the other one leads", seconds=30)
    taken_over = await until_status(client, viewer, "ok")

    assert led["workers"].keys() == WORKERS.keys()
    assert {each["running"] for each in led["workers"].values()} == {True}
    assert all(age(each) < timedelta(minutes=1) for each in led["workers"].values())
    assert orphaned["reasons"] == ["No operator leads, or the one that does cannot be reached."]
    assert {each["running"] for each in orphaned["workers"].values()} == {False}
    assert all(each["last_heartbeat"] for each in orphaned["workers"].values())
    assert {each["running"] for each in taken_over["workers"].values()} == {True}


async def test_a_leader_that_hangs_is_told_in_time(
    pair: tuple[Operator, Operator], client: Client, viewer: str
) -> None:
    leader, standby = pair
    await until_status(client, viewer, "ok")

    with frozen(leader), frozen(standby):
        begun = datetime.now(UTC)
        await until_status(client, viewer, "degraded", seconds=9)
        assert datetime.now(UTC) - begun < timedelta(seconds=9)


async def test_what_a_worker_meets_is_told_by_its_code(
    pair: tuple[Operator, Operator], client: Client, viewer: str, own_redis: RedisServer
) -> None:
    await until_status(client, viewer, "ok")

    await asyncio.to_thread(own_redis.stop)

    async def is_told() -> bool:
        workers = (await health(client, viewer))["workers"]
        return all(
            workers[name]["last_error"] and workers[name]["last_error"]["code"] == "queue-unavailable"
            for name in ("backup", "restore", "db-sync")
        )

    await until(is_told, what="the queues' workers tell that Redis is away", seconds=30)
    body = await health(client, viewer)
    assert body["workers"]["backup"]["running"] is True
    assert body["workers"]["backup"]["last_error"]["message"].startswith("The queue server did not answer")
    told = workers(pair[0])
    assert str(own_redis.port) not in json.dumps(told)
    assert set(told["workers"]["dispatcher"]["failure"]) == {"code", "at"}


async def test_every_loop_of_the_leader_belongs_to_a_worker_of_the_api(pair: tuple[Operator, Operator]) -> None:
    leader, standby = pair
    loops = {loop for worker in WORKERS.values() for loop in worker.loops}

    async def all_turn() -> bool:
        return set(workers(leader)["workers"]) == loops

    await until(all_turn, what="the loops of the leader are those of the API's workers", seconds=30)
    assert workers(standby) == {"leading": False, "workers": {}}


def workers(operator: Operator) -> Any:
    with urllib.request.urlopen(f"http://{HOST}:{operator.port}/workers", timeout=5) as answer:
        return json.load(answer)


def age(worker: dict[str, str]) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(worker["last_heartbeat"])
