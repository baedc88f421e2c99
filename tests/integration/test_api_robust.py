"""What the API does with bodies, headers, callers and pages that are not as they should be: real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.web import TCPSite
from pydantic import BaseModel, Field

from dataguardian.api import app, mount, sending
from dataguardian.api.clients import Clients
from dataguardian.api.endpoints import Call, Endpoint
from dataguardian.api.serve import runner_of
from dataguardian.history import History
from dataguardian.queue import Queue

from .apiserver import ApiServer
from .callers import Told, chart_parts, token_of, told
from .clients import postgres_settings, redis_settings, until
from .services import HOST, PostgresServer, RedisServer

PAGE = "https://dashboard.example.com"
SLOW = 0.6  # seconds, where the real limits are tens of them


class Text(BaseModel):
    """A text, in and out."""

    text: str = Field(default="", description="Any.")


@dataclass
class Gate:
    """Where the requests of a test wait until they are let through."""

    entered: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)


async def echo(call: Call) -> Text:
    return Text(text=call.body.text)


@pytest.fixture(scope="module")
def token(apiserver: ApiServer) -> Iterator[str]:
    with chart_parts(apiserver, "roles"):
        yield token_of(apiserver, apiserver.namespace(), "viewer", role="viewer")


@pytest.fixture
def gate() -> Gate:
    return Gate()


@dataclass
class Api:
    """A sidecar with two endpoints more: one that repeats its body, and one that waits at the gate."""

    port: int
    token: str
    http: ClientSession
    server: web.Server

    async def call(self, method: str, path: str, **more: Any) -> Told:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        async with self.http.request(method, f"http://{HOST}:{self.port}{path}", headers=headers, **more) as answer:
            return await told(answer)

    async def drip(self, head: str, endless: bytes) -> bytes:
        """Send the head, and a byte now and then for ever; what comes back until the server ends it."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(head.encode())

        async def drip() -> None:
            with suppress(ConnectionError):
                while True:
                    writer.write(endless)
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        try:
            async with asyncio.timeout(15):
                with suppress(ConnectionError):
                    return await reader.read()
                return b""
        finally:
            dripping.cancel()
            writer.close()


@pytest.fixture
async def api(
    apiserver: ApiServer, postgres_server: PostgresServer, migrated: str, redis_server: RedisServer, tmp_path: Path,
    token: str, gate: Gate, monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Api]:  # fmt: skip
    async def wait(_: Call) -> Text:
        gate.entered += 1
        await gate.opened.wait()
        return Text()

    common: dict[str, Any] = {"permission": "self", "summary": "For tests.", "answer": Text}

    async def much(_: Call) -> Text:
        return Text(text="x" * 20_000_000)

    more = (
        Endpoint(method="GET", path="/api/test/much", handler=much, **common),
        Endpoint(method="POST", path="/api/test/echo", handler=echo, body=Text, action="test.echo", **common),
        Endpoint(method="GET", path="/api/test/gate", handler=wait, **common),
    )
    monkeypatch.setattr(app, "ENDPOINTS", (*app.ENDPOINTS, *more))
    monkeypatch.setattr(app, "AT_ONCE", 2)
    monkeypatch.setattr(mount, "BODY_S", SLOW)
    async with (
        apiserver.connect() as kube,
        History(postgres_settings(postgres_server, migrated, tmp_path)) as history,
        Queue(redis_settings(redis_server, tmp_path)) as queue,
        ClientSession() as http,
    ):
        made = app.make_app(Clients(kube=kube, history=history, queue=queue), origins=frozenset({PAGE}))
        runner = runner_of(made, idle_s=SLOW)
        await runner.setup()
        try:
            await TCPSite(runner, HOST, 0).start()
            assert runner.server is not None
            yield Api(port=runner.addresses[0][1], token=token, http=http, server=runner.server)
        finally:
            gate.opened.set()
            await runner.cleanup()


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 4096


BIG: dict[str, Callable[[], Any]] = {"of a known length": lambda: b" " * 100_000, "in chunks": lambda: chunks(40)}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("how", BIG)
async def test_a_body_that_is_too_large_is_refused(api: Api, how: str) -> None:
    answer = await api.call("POST", "/api/test/echo", data=BIG[how](), headers=JSON)

    assert (answer.status, answer.body["code"]) == (413, "request-entity-too-large")
    assert answer.body["remedy"] == "Send a smaller body."


async def test_a_body_of_the_allowed_size_is_taken(api: Api) -> None:
    text = "x" * 60_000

    answer = await api.call("POST", "/api/test/echo", json={"text": text})

    assert (answer.status, answer.body) == (200, {"text": text})


HEAD = "POST /api/test/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def authorized(api: Api, more: str) -> str:
    return f"{HEAD}Authorization: Bearer {api.token}\r\n{more}\r\n\r\n"


async def test_headers_that_never_end_end_the_connection(api: Api) -> None:
    assert await api.drip("GET /health HTTP/1.1\r\nX-Drip: ", b"a") == b""


async def test_a_connection_that_asks_nothing_is_ended(api: Api) -> None:
    assert await api.drip("", b"") == b""


async def test_a_body_that_never_ends_is_refused_and_its_connection_ended(api: Api) -> None:
    answer = await api.drip(authorized(api, "Content-Length: 60000"), b" ")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer


async def test_an_answer_that_nobody_takes_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SENT_WITHIN_S", SLOW)
    with socket.create_connection((HOST, api.port)) as deaf:
        deaf.setblocking(False)
        deaf.sendall(f"GET /api/test/much HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n\r\n".encode())

        async def is_sent() -> bool:
            with suppress(BlockingIOError):
                return bool(deaf.recv(9, socket.MSG_PEEK))
            return False

        async def is_cut_off() -> bool:
            return not api.server.connections

        await until(is_sent, what="the answer has begun", seconds=15)
        await until(is_cut_off, what="the connection is cut off", seconds=15)


async def test_a_body_that_is_broken_is_refused_and_is_no_defect(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    answer = await api.drip(authorized(api, "Transfer-Encoding: chunked"), b"no length\r\n")

    assert b" 400 " in answer.splitlines()[0]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_caller_who_leaves_before_the_body_is_whole_is_no_defect(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dataguardian.api.access_log")
    _, writer = await asyncio.open_connection(HOST, api.port)
    writer.write(authorized(api, "Content-Length: 60000").encode())
    await writer.drain()
    writer.close()

    await until(lambda: _async(bool(caplog.records)), what="the request is over")

    assert [record.levelno for record in caplog.records] == [logging.INFO]


@pytest.mark.parametrize("head", ["GET /" + "a" * 20_000, "GET / HTTP/1.1\r\nX-Long: " + "a" * 40_000])
async def test_lines_and_headers_that_are_too_long_are_refused_and_not_logged(
    api: Api, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await api.drip(f"{head} HTTP/1.1\r\n\r\n", b"")

    assert b" 400 " in answer.splitlines()[0]
    assert "aaaa" not in caplog.text


async def test_a_crowd_is_asked_to_come_again_and_probes_are_answered(api: Api, gate: Gate) -> None:
    waiting = [asyncio.create_task(api.call("GET", "/api/test/gate")) for _ in range(2)]
    await until(lambda: _async(gate.entered == 2), what="two requests are under way")

    refused, probe = await api.call("GET", "/api/access/me"), await api.call("GET", "/health")
    gate.opened.set()
    served = [(await each).status for each in waiting]
    after = await api.call("GET", "/api/access/me")

    assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (503, "busy", "5")
    assert (probe.status, served, after.status) == (200, [200, 200], 200)


async def _async(value: bool) -> bool:
    return value


@pytest.mark.parametrize("path", ["/api/access/me", "/api/executions", "/api/nothing", "/health"])
async def test_the_head_of_an_answer_is_its_headers_alone(api: Api, path: str) -> None:
    whole, head = await api.call("GET", path), await api.call("HEAD", path)

    assert (head.status, head.body) == (whole.status, "")
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers.get(name) == whole.headers.get(name) or path == "/api/nothing"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/api/", 404, "not-found"),
        ("GET", "/api/../etc/passwd", 404, "not-found"),
        ("DELETE", "/api/executions", 405, "method-not-allowed"),
        ("OPTIONS", "/api/executions", 405, "method-not-allowed"),
        ("PROPFIND", "/api/executions", 405, "method-not-allowed"),
        ("POST", "/health", 405, "method-not-allowed"),
    ],
)
async def test_what_does_not_exist_is_a_problem(api: Api, method: str, path: str, status: int, code: str) -> None:
    answer = await api.call(method, path)

    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert ("Allow" in answer.headers) == (status == 405)


async def test_every_request_is_a_line_without_its_secrets(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dataguardian.api.access_log")
    path = "/api/executions/00000000-0000-0000-0000-00000000ffff"
    answer = await api.call("GET", f"{path}?format=hidden-word", headers={"X-Request-Id": "walk-1"})
    await api.call("GET", "/api/nothing?key=hidden-word")
    await api.call("GET", "/health")
    await until(lambda: _async(len(caplog.records) >= 3), what="three lines")

    lines = [vars(record) for record in caplog.records if record.name == "dataguardian.api.access_log"]
    one, unknown, probe = ({key: line[key] for key in ("path", "status", "caller", "levelname")} for line in lines)
    caller = lines[0]["caller"]
    template = "/api/executions/{execution_id}"
    assert one == {"path": template, "status": 404, "caller": caller, "levelname": "INFO"}
    assert caller.startswith("system:serviceaccount:")
    assert unknown == {"path": "/api/nothing", "status": 404, "caller": None, "levelname": "INFO"}
    assert probe == {"path": "/health", "status": 200, "caller": None, "levelname": "DEBUG"}
    assert (lines[0]["request_id"], lines[0]["method"], lines[0]["remote"]) == ("walk-1", "GET", HOST)
    assert lines[0]["bytes"] > int(answer.headers["Content-Length"])
    assert lines[0]["milliseconds"] > 0
    told_all = json.dumps(lines, default=str)
    assert api.token not in told_all
    assert "hidden-word" not in told_all


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


ASKS = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


async def test_pages_of_a_named_origin_may_use_the_api(api: Api) -> None:
    asked = await api.call("OPTIONS", "/api/executions", headers={"Origin": PAGE, "Authorization": "", **ASKS})
    answer = await api.call("GET", "/api/executions", headers={"Origin": PAGE})
    refused = await api.call("GET", "/api/executions", headers={"Origin": PAGE, "Authorization": ""})

    assert (asked.status, asked.body) == (204, "")
    assert cors(asked.headers)["Access-Control-Allow-Origin"] == PAGE
    assert "Authorization" in cors(asked.headers)["Access-Control-Allow-Headers"]
    for each, status in ((answer, 200), (refused, 401)):
        assert each.status == status
        assert cors(each.headers)["Access-Control-Allow-Origin"] == PAGE
        assert "ETag" in cors(each.headers)["Access-Control-Expose-Headers"]
        assert "Origin" in each.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in each.headers


@pytest.mark.parametrize(
    "origin", ["https://dashboard.example.com.evil.org", "http://dashboard.example.com", "null", "*", f"{PAGE}:8443"]
)
async def test_pages_of_any_other_origin_may_not(api: Api, origin: str) -> None:
    asked = await api.call("OPTIONS", "/api/executions", headers={"Origin": origin, **ASKS})
    answer = await api.call("GET", "/api/executions", headers={"Origin": origin})

    assert (asked.status, answer.status) == (405, 200)
    assert (cors(asked.headers), cors(answer.headers)) == ({}, {})


async def test_transport_security_is_left_to_what_ends_tls(api: Api) -> None:
    assert "Strict-Transport-Security" not in (await api.call("GET", "/api/access/me")).headers
