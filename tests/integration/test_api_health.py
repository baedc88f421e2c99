"""``GET /health`` and the form of every answer, on real services that go away and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dataguardian.api import app

from .apiserver import ApiServer
from .callers import Client
from .clients import frozen, until
from .services import PostgresServer, RedisServer, Service
from .sidecars import connected, served


@pytest.fixture(scope="module")
def fragile() -> Iterator[dict[str, Service]]:
    """Services of our own, by their names in the answer: these tests stop them."""
    services: dict[str, Service] = {
        "kubernetes": ApiServer(),
        "postgres": PostgresServer(),
        "redis": RedisServer(),
    }
    try:
        for service in services.values():
            service.start()
        yield services
    finally:
        for service in services.values():
            service.remove()


@pytest.fixture
async def client(fragile: dict[str, Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(app, "OBJECTS_FOR_S", 0)  # every scrape asks for the objects: the worst case
    apiserver, postgres, redis = fragile["kubernetes"], fragile["postgres"], fragile["redis"]
    assert isinstance(apiserver, ApiServer)
    assert isinstance(postgres, PostgresServer)
    assert isinstance(redis, RedisServer)
    for service in fragile.values():
        service.start()
    async with (
        apiserver.connect() as kube,
        connected(kube, postgres, "postgres", redis, tmp_path) as clients,
        served(clients) as opened,
    ):
        yield opened


async def health(client: Client) -> tuple[int, str, list[str]]:
    """The status code, the word, and what is down."""
    async with client.get("/health") as answer:
        body = await answer.json()
        return answer.status, body["status"], [name for name, state in body["services"].items() if state == "down"]


async def metrics(client: Client) -> str:
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


OK = (200, "ok", list[str]())
OUTAGES = [
    ("redis", (200, "degraded", ["redis"])),
    ("postgres", (200, "degraded", ["postgres"])),
    ("kubernetes", (503, "down", ["kubernetes"])),
]


async def test_health_is_ok_while_all_is_up(client: Client) -> None:
    assert await health(client) == OK


@pytest.mark.parametrize(("name", "told"), OUTAGES)
async def test_health_tells_that_a_service_stopped_and_recovers(
    fragile: dict[str, Service], client: Client, name: str, told: tuple[int, str, list[str]]
) -> None:
    assert await health(client) == OK

    await asyncio.to_thread(fragile[name].stop)
    await until(lambda: is_told(client, told), what=f"{name} is told as down", seconds=10)

    fragile[name].start()
    await until(lambda: is_told(client, OK), what="all is up", seconds=20)


@pytest.mark.parametrize(("name", "told"), OUTAGES)
async def test_a_frozen_service_delays_no_answer_for_five_seconds(
    fragile: dict[str, Service], client: Client, name: str, told: tuple[int, str, list[str]]
) -> None:
    assert await health(client) == OK  # so that there are connections to freeze
    slowest = 0.0

    async def told_at_last() -> bool:
        nonlocal slowest
        begun = time.monotonic()
        answers = await asyncio.gather(health(client), *(metrics(client) for _ in range(3)))
        slowest = max(slowest, time.monotonic() - begun)
        return answers[0] == told

    with frozen(fragile[name]):
        await until(told_at_last, what=f"{name} is told as down", seconds=15)

    assert slowest < 5
    await until(lambda: is_told(client, OK), what="all is up", seconds=20)


async def test_an_unknown_path_is_a_problem(client: Client) -> None:
    async with client.get("/nothing") as answer:
        body = await answer.json(content_type="application/problem+json")

    assert answer.status == 404
    assert body == {
        "type": "urn:dataguardian:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "GET /nothing: Not Found.",
        "code": "not-found",
        "remedy": "Check the path.",
        "request_id": answer.headers["X-Request-Id"],
    }


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: Client) -> None:
    async with client.post("/health") as answer:
        body = await answer.json(content_type="application/problem+json")

    assert (answer.status, body["code"], answer.headers["Allow"]) == (405, "method-not-allowed", "GET,HEAD")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/nothing"])
async def test_every_answer_has_the_headers_of_security(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        headers = answer.headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "dataguardian"


async def is_told(client: Client, told: tuple[int, str, list[str]]) -> bool:
    return await health(client) == told
