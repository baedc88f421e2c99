"""``GET /api/health`` on real services that go away and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dataguardian.settings import OperatorsSettings

from .apiserver import ApiServer
from .callers import Client, Told, chart_parts, get, token_of
from .clients import frozen, until
from .services import PostgresServer, RedisServer, Service, free_port
from .sidecars import connected, served

PATH = "/api/health"
LIMIT_S = 5.0


@pytest.fixture(scope="module")
def fragile() -> Iterator[dict[str, Service]]:
    """Services of our own, by their names in the answer: these tests stop them."""
    services: dict[str, Service] = {"kubernetes": ApiServer(), "postgres": PostgresServer(), "redis": RedisServer()}
    try:
        for service in services.values():
            service.start()
        yield services
    finally:
        for service in services.values():
            service.remove()


@pytest.fixture(scope="module")
def tokens(fragile: dict[str, Service]) -> Iterator[dict[str, str]]:
    apiserver = fragile["kubernetes"]
    assert isinstance(apiserver, ApiServer)
    namespace = apiserver.namespace()
    with chart_parts(apiserver, "roles"):
        yield {
            "viewer": token_of(apiserver, namespace, "viewer", role="viewer", everywhere=True),
            "viewer of one": token_of(apiserver, namespace, "one", role="viewer"),
            "no role": token_of(apiserver, namespace, "no-role", role=None),
        }
        fragile["kubernetes"].start()


@pytest.fixture
async def client(fragile: dict[str, Service], tmp_path: Path) -> AsyncIterator[Client]:
    apiserver, postgres, redis = fragile["kubernetes"], fragile["postgres"], fragile["redis"]
    assert isinstance(apiserver, ApiServer)
    assert isinstance(postgres, PostgresServer)
    assert isinstance(redis, RedisServer)
    for service in fragile.values():
        service.start()
    async with (
        apiserver.connect() as kube,
        connected(kube, postgres, "postgres", redis, tmp_path) as clients,
    ):
        nobody = OperatorsSettings(namespace="dataguardian", liveness_port=free_port())
        async with served(replace(clients, operators=nobody)) as opened:
            yield opened


class Asker:
    """A viewer, and how long their slowest answer took."""

    def __init__(self, client: Client, token: str) -> None:
        self._client, self._token = client, token
        self.slowest_s = 0.0
        self.last: Told | None = None

    async def ask(self) -> Told:
        begun = time.monotonic()
        self.last = await get(self._client, PATH, self._token)
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        return self.last

    async def down(self) -> list[str]:
        """The services that are told to be down."""
        answer = await self.ask()
        if answer.status != 200:
            return [answer.body["code"]]
        return [name for name, each in answer.body["services"].items() if each["status"] == "down"]

    async def until_down(self, *names: str, seconds: float = 20) -> Any:
        async def are_down() -> bool:
            return await self.down() == list(names)

        await until(are_down, what=f"{names} are told as down", seconds=seconds)
        assert self.last is not None
        return self.last.body


@pytest.fixture
def viewer(client: Client, tokens: dict[str, str]) -> Asker:
    return Asker(client, tokens["viewer"])


async def test_all_is_told_while_all_is_up(viewer: Asker) -> None:
    body = (await viewer.ask()).body

    assert {each["status"] for each in body["services"].values()} == {"up"}
    assert all(each["latency_ms"] > 0 and each["last_error"] is None for each in body["services"].values())
    assert all(each["running"] is False and each["last_heartbeat"] is None for each in body["workers"].values())
    assert (body["status"], body["reasons"]) == (
        "degraded",
        ["No operator leads, or the one that does cannot be reached."],
    )
    assert {name: each["queue_depth"] for name, each in body["workers"].items()} == {
        "scheduler": None, "backup": 0, "restore": 0, "db-sync": 0, "health": None, "cleanup": None, "recorder": None,
    }  # fmt: skip


async def test_only_who_may_read_health_somewhere_is_told(client: Client, tokens: dict[str, str]) -> None:
    assert (await get(client, PATH, None)).status == 401
    assert (await get(client, PATH, tokens["no role"])).status == 403


@pytest.mark.parametrize("name", ["postgres", "redis"])
@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_a_service_that_goes_away_is_told_in_words_and_comes_back_by_itself(
    fragile: dict[str, Service], client: Client, viewer: Asker, tokens: dict[str, str], name: str, how: str
) -> None:
    before = (await viewer.ask()).body["services"][name]

    if how == "frozen":
        with frozen(fragile[name]):
            body = await viewer.until_down(name)
            again = await viewer.until_down(name)
    else:
        await asyncio.to_thread(fragile[name].stop)
        body = await viewer.until_down(name)
        again = await viewer.until_down(name)
        of_one = (await get(client, PATH, tokens["viewer of one"])).body
        fragile[name].start()
        # The words name hosts and users.
        assert (of_one["reasons"][0], of_one["services"][name]["last_error"]) == (f"{name} is down.", None)
    after = (await viewer.until_down())["services"][name]

    assert body["status"] == "degraded"
    assert body["reasons"][0] == f"{name} is down: {body['services'][name]['last_error']}"
    assert body["services"][name]["latency_ms"] is None
    assert again["services"][name]["since"] == body["services"][name]["since"]
    assert moment(before) < moment(body["services"][name]) < moment(after)
    if name == "redis":
        assert {each["queue_depth"] for each in body["workers"].values()} == {None}
    assert viewer.slowest_s < LIMIT_S


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_the_api_server_known_callers_are_told_and_others_that_nobody_can_be_asked(
    fragile: dict[str, Service], client: Client, viewer: Asker, tokens: dict[str, str], how: str
) -> None:
    assert await viewer.down() == []

    if how == "frozen":
        with frozen(fragile["kubernetes"]):
            body = await viewer.until_down("kubernetes")
            begun = time.monotonic()
            stranger = await get(client, PATH, "another-token")
            stranger_s = time.monotonic() - begun
    else:
        fragile["kubernetes"].kill()  # in order it would wait for the watches
        body = await viewer.until_down("kubernetes")
        begun = time.monotonic()
        stranger = await get(client, PATH, "another-token")
        stranger_s = time.monotonic() - begun
        fragile["kubernetes"].start()
    await viewer.until_down(seconds=30)

    assert body["status"] == "down"
    assert (stranger.status, stranger.headers["Retry-After"]) == (503, "5")
    assert max(viewer.slowest_s, stranger_s) < LIMIT_S


def moment(service: dict[str, str]) -> datetime:
    return datetime.fromisoformat(service["since"])
