"""What the application does with errors, and with what it remembers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from dataguardian.api.probes import Services
from dataguardian.api.problems import problems
from dataguardian.api.remembered import Remembered
from dataguardian.api.services import ServiceStatus
from dataguardian.errors import NotFound

Client = TestClient[web.Request, web.Application]


async def refuse(_: web.Request) -> web.Response:
    raise NotFound("The bucket 'b' does not exist.", remedy="Create it.")


async def fail(_: web.Request) -> web.Response:
    raise RuntimeError("secret-canary")


async def move(_: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[problems])
    app.add_routes([web.get("/refuse", refuse), web.get("/fail", fail), web.get("/move", move)])
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_our_own_error_keeps_its_code_and_its_remedy(client: Client) -> None:
    async with client.get("/refuse") as answer:
        body = await answer.json(content_type="application/problem+json")

    assert answer.status == 404
    assert (body["code"], body["detail"], body["remedy"]) == (
        "not-found",
        "The bucket 'b' does not exist.",
        "Create it.",
    )


async def test_a_defect_keeps_its_traceback_in_the_log_and_out_of_the_answer(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with client.get("/fail") as answer:
        body = await answer.text()

    assert answer.status == 500
    assert "secret-canary" not in body
    assert "RuntimeError: secret-canary" in caplog.text


async def test_a_redirect_is_no_problem(client: Client) -> None:
    async with client.get("/move", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize(
    ("kubernetes", "postgres", "redis", "status"),
    [
        ("up", "up", "up", "ok"),
        ("up", "down", "up", "degraded"),
        ("up", "up", "down", "degraded"),
        ("up", "down", "down", "degraded"),
        ("down", "up", "up", "down"),
        ("down", "down", "down", "down"),
    ],
)
def test_only_kubernetes_is_needed_to_go_on(
    kubernetes: ServiceStatus, postgres: ServiceStatus, redis: ServiceStatus, status: str
) -> None:
    assert Services(kubernetes=kubernetes, postgres=postgres, redis=redis).status == status


@pytest.mark.parametrize("seconds", [0, 60])
async def test_askers_at_once_share_one_answer(seconds: float) -> None:
    asked = 0

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    remembered = Remembered(ask, seconds=seconds)

    assert await asyncio.gather(*(remembered.get() for _ in range(20))) == [1] * 20


async def test_an_old_answer_is_asked_for_again() -> None:
    answers = iter(range(10))

    async def ask() -> int:
        return next(answers)

    remembered = Remembered(ask, seconds=0)

    assert [await remembered.get(), await remembered.get()] == [0, 1]


async def test_a_failure_is_not_remembered() -> None:
    outcomes = iter([False, True])

    async def ask() -> str:
        if next(outcomes):
            return "answer"
        raise NotFound("no", remedy="wait")

    remembered = Remembered(ask, seconds=60)

    with pytest.raises(NotFound):
        await remembered.get()
    assert await remembered.get() == "answer"
