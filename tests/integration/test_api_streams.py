"""Streams of logs and of executions through the API: real PostgreSQL, Redis, API server and HTTP clients."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from aiohttp.test_utils import TestClient, TestServer, get_port_socket

from dataguardian.api import access, app, changes, logs, sse, streams
from dataguardian.api.clients import Clients
from dataguardian.domain.line_id import LineId
from dataguardian.history import ExecutionRow, History, LogLine, reading
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import Absent, Conflict, Expired, Kubernetes
from dataguardian.live_log import LiveLine, LiveLog

from .callers import Client, bearer, get, token_of
from .clients import postgres_settings, until
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served
from .streaming import Event, Stream, opened

STREAM = "/api/executions/stream"
LINES = [LogLine(ts="2026-11-24T02:00:00.000Z", level="info", message=f"[BACKUP] Line {n}") for n in range(1, 6)]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Who may read what, and what the API works with."""

    people: People
    clients: Clients

    @property
    def viewer(self) -> str | None:
        """The token of who may read the first namespace."""
        return self.people.tokens["viewer"]

    @property
    def elsewhere(self) -> str | None:
        """The token of who may read the second one."""
        return self.people.tokens["viewer elsewhere"]

    async def record(self, status: str = "running", **known: object) -> ExecutionRow:
        at = datetime.now(UTC)
        row = ExecutionRow(
            id=str(uuid.uuid4()), namespace=self.people.here, name="nightly-1", job="nightly", operation="backup",
            trigger="schedule", status="running", queued_at=at, observed_at=at,
        )  # fmt: skip
        ended = {} if status == "running" else {"finished_at": at}
        row = replace(row, **{"status": status, **ended, **known})  # type: ignore[arg-type]  # fields of the test's
        await self.clients.history.record(row)
        return row

    async def end(self, row: ExecutionRow, lines: list[LogLine]) -> None:
        await self.clients.history.record(replace(row, status="completed", finished_at=datetime.now(UTC), logs=lines))


@pytest.fixture
def live_log(request: pytest.FixtureRequest) -> RedisServer:
    """Where the live log is: the test's own Redis, when it has one to end."""
    has_own = "own_redis" in request.node.fixturenames
    found: RedisServer = request.getfixturevalue("own_redis" if has_own else "redis_server")
    return found


@pytest.fixture
async def scene(
    callers: People, kube: Kubernetes, migrated: str, postgres_server: PostgresServer, live_log: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Scene]:  # fmt: skip
    async with connected(kube, postgres_server, migrated, live_log, tmp_path) as clients:
        yield Scene(people=callers, clients=clients)


@pytest.fixture
async def server(scene: Scene) -> AsyncIterator[TestServer]:
    started = TestServer(app.make_app(scene.clients), socket_factory=small_socket)
    await started.start_server()
    yield started
    await started.close()


def small_socket(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """A socket whose connections hold little of what a client does not read."""
    made = get_port_socket(host, port, family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    return made


@pytest.fixture
async def client(server: TestServer) -> AsyncIterator[Client]:
    made: Client = TestClient(server)
    yield made
    await made.close()


def log_of(row: ExecutionRow) -> str:
    return f"/api/executions/{row.id}/logs"


def messages(events: list[Event]) -> list[str]:
    return [each.data["message"] for each in events if each.name == "line"]


async def test_the_log_of_an_ended_execution_is_its_recorded_lines_and_the_end(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await scene.end(row, LINES)

    async with opened(client, log_of(row), scene.viewer) as stream:
        told = await stream.rest()

    assert messages(told) == [line.message for line in LINES]
    assert told[0].data == {"ts": LINES[0].ts, "level": "info", "message": "[BACKUP] Line 1"}
    assert (told[-1].name, told[-1].data) == ("end", {"reason": "ended", "status": "completed"})


async def test_a_log_whose_gaps_have_no_ids_is_told_once_and_ends(scene: Scene, client: Client) -> None:
    row = await scene.record()
    ids = ["5-1", "5-2", "", "6-1", ""]
    lines = [replace_id(line, place) for line, place in zip(LINES, ids, strict=True)]
    await scene.end(row, lines)

    async with opened(client, log_of(row), scene.viewer) as stream:
        told = await stream.rest()

    assert [(each.name, each.id) for each in told[:-1]] == [
        ("line", "5-1"), ("line", "5-2"), ("line", "5-3"), ("line", "6-1"), ("line", "6-2"),
    ]  # fmt: skip
    assert told[-1].name == "end"


async def test_a_reader_that_comes_back_gets_what_follows_and_nothing_twice(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await scene.end(row, LINES)
    async with opened(client, log_of(row), scene.viewer) as stream:
        first = await stream.until(lambda event: event.data["message"].endswith("Line 2"))

    async with opened(client, log_of(row), scene.viewer, last=first[-1].id) as stream:
        rest = await stream.rest()

    assert messages(first + rest) == [line.message for line in LINES]
    assert "reset" not in [each.name for each in rest]


@pytest.mark.parametrize("unknown", ["yesterday", "99999999999999-1", "1-1"])
async def test_a_place_that_the_log_has_not_begins_again_and_says_so(
    scene: Scene, client: Client, unknown: str
) -> None:
    row = await scene.record()
    await scene.end(row, LINES)

    async with opened(client, log_of(row), scene.viewer, last=unknown) as stream:
        told = await stream.rest()

    assert told[0].name == "reset"
    assert messages(told) == [line.message for line in LINES]


async def test_a_running_execution_is_followed_to_its_end(scene: Scene, client: Client) -> None:
    row = await scene.record()
    async with opened(client, log_of(row), scene.viewer) as stream:
        await scene.end(row, LINES)
        told = await stream.rest()

    assert messages(told) == [line.message for line in LINES]
    assert told[-1].data["status"] == "completed"


async def test_a_stream_of_what_one_may_not_read_is_not_found(scene: Scene, client: Client) -> None:
    row = await scene.record()

    answer = await get(client, log_of(row), scene.elsewhere, {"Accept": "text/event-stream"})

    assert (answer.status, answer.body["code"]) == (404, "not-found")


async def test_a_caller_holds_a_bounded_number_of_streams(scene: Scene, client: Client) -> None:
    row = await scene.record()
    async with AsyncExitStack() as stack:
        for _ in range(streams.PER_CALLER):
            await stack.enter_async_context(opened(client, log_of(row), scene.viewer))
        refused = await get(client, log_of(row), scene.viewer, {"Accept": "text/event-stream"})
        plain = await get(client, log_of(row), scene.viewer)

    assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (429, "too-many-streams", "5")
    assert plain.status == 200

    async def has_a_place_again() -> bool:
        headers = {**bearer(scene.viewer), "Accept": "text/event-stream"}
        async with client.get(log_of(row), headers=headers) as answer:
            return answer.status == 200

    await until(has_a_place_again, what="a closed stream gives its place back", seconds=10)


async def test_all_callers_together_hold_a_bounded_number_of_streams(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "IN_ALL", 1)
    async with opened(client, STREAM, scene.viewer):
        refused = await get(client, STREAM, scene.elsewhere)

    assert (refused.status, refused.body["code"]) == (429, "too-many-streams")


async def test_a_reader_that_lags_far_behind_is_told_to_come_back(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [await scene.record() for _ in range(3)]
    async with opened(client, STREAM, scene.viewer) as stream:
        await until_ready(stream)
        monkeypatch.setattr(changes, "HELD", 1)
        async with scene.clients.history.connection() as connection:  # all three at one look
            for row in rows:
                await connection.execute("UPDATE backup_executions SET job = 'other' WHERE id = %s", [row.id])
        told = await stream.rest()

    assert told[-1].data["reason"] == "slow"


async def test_more_changes_than_are_remembered_end_in_a_reset(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [await scene.record() for _ in range(3)]
    monkeypatch.setattr(changes, "LATE", timedelta(seconds=2))
    async with opened(client, STREAM, scene.viewer) as stream:
        await until_ready(stream)
        monkeypatch.setattr(changes, "TOLD", 2)
        async with scene.clients.history.connection() as connection:
            ids = [row.id for row in rows]
            await connection.execute("UPDATE backup_executions SET job = 'other' WHERE id = ANY (%s)", [ids])
        told = await stream.rest()
    assert told[-1].data["reason"] == "slow"

    async def begins_again() -> bool:
        async with opened(client, STREAM, scene.viewer, last=stream.id) as again:
            first = await again.next()
        return first is not None and first.name == "reset"

    await until(begins_again, what="a stream begins with a reset", seconds=15)


async def test_a_silent_stream_is_kept_open_by_heartbeats(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    row = await scene.record()

    async with opened(client, log_of(row), scene.viewer) as stream:
        await stream.until_comment("")

    assert stream.comments


@pytest.mark.parametrize(("taken", "reason"), [("rolebinding", "forbidden"), ("serviceaccount", "unauthenticated")])
async def test_a_right_that_is_taken_away_and_a_token_that_is_revoked_end_the_stream(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch, taken: str, reason: str
) -> None:
    monkeypatch.setattr(streams, "CHECK_S", 0.2)
    monkeypatch.setattr(access, "YES_S", 0.2)
    name = f"leaver-{uuid.uuid4().hex[:8]}"
    token = token_of(scene.people.apiserver, scene.people.here, name, role="viewer")
    row = await scene.record()
    async with opened(client, log_of(row), token) as stream:
        scene.people.apiserver.kubectl("delete", taken, name, "-n", scene.people.here)
        told = await stream.rest()

    assert [(each.name, each.data["reason"]) for each in told] == [("end", reason)]


@pytest.mark.parametrize("error", [Absent, Conflict, Expired])
async def test_a_stream_goes_on_when_the_rights_cannot_be_asked_about_now(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    asked = asyncio.Event()

    async def failing(*_: object) -> None:
        asked.set()
        raise error("the API server's list began anew")

    monkeypatch.setattr(streams, "CHECK_S", 0.1)
    monkeypatch.setattr(logs, "_check", failing)
    row = await scene.record()
    async with opened(client, log_of(row), scene.viewer) as stream:
        async with asyncio.timeout(10):
            await asked.wait()
        await scene.end(row, LINES)
        told = await stream.rest()

    assert told[-1].data["reason"] == "ended"


async def test_a_client_that_does_not_read_is_cut_off(
    scene: Scene, server: TestServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sse, "WRITE_S", 0.5)
    row = await scene.record()
    # More than the kernel's buffers on both sides take.
    await scene.end(row, [replace_message(LINES[0], "x" * 3_900) for _ in range(500)])
    request = (
        f"GET {log_of(row)} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {scene.viewer}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    )
    with socket.socket() as deaf, caplog.at_level("INFO"):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((server.host, server.port))
        deaf.sendall(request.encode())

        async def is_cut() -> bool:
            return any(getattr(record, "action", "") == "stream_cut" for record in caplog.records)

        await until(is_cut, what="the stream is cut", seconds=20)


async def live(scene: Scene, row: ExecutionRow, *numbers: int) -> None:
    """Lines that the operator has followed."""
    lines = [
        LiveLine(
            execution=row.id, id=LineId(5, n), ts=LINES[0].ts, level="info", message=f"Live {n}", progress=("dump", n)
        )
        for n in numbers
    ]
    await LiveLog(scene.clients.queue.client).add(lines)


async def test_a_running_execution_tells_lines_and_progress_as_they_come(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await live(scene, row, 1)
    async with opened(client, log_of(row), scene.viewer) as stream:
        first = await stream.until(lambda event: event.name == "progress")
        await live(scene, row, 2)
        second = await stream.until(lambda event: event.name == "progress")
    json, text = [await get(client, log_of(row) + query, scene.viewer) for query in ("", "?format=text")]

    assert [(each.name, each.id) for each in first + second] == [
        ("line", "5-1"), ("progress", "5-1"), ("line", "5-2"), ("progress", "5-2"),
    ]  # fmt: skip
    assert second[1].data == {"step": "dump", "bytes": 2}
    assert [line["message"] for line in json.body["data"]] == ["Live 1", "Live 2"]
    assert text.body.endswith("info    Live 2\n")


async def test_a_reader_of_the_live_log_comes_back_to_the_recorded_one(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await live(scene, row, 1, 2)
    async with opened(client, log_of(row), scene.viewer) as stream:
        first = await stream.until(lambda event: event.id == "5-2")
    await scene.end(row, [LogLine(ts="", level="info", message=f"Live {n}", id=f"5-{n}") for n in range(1, 5)])

    async with opened(client, log_of(row), scene.viewer, last="5-2") as stream:
        rest = await stream.rest()

    assert messages(first + rest) == ["Live 1", "Live 2", "Live 3", "Live 4"]
    assert {each.name for each in rest} == {"line", "end"}


async def test_what_the_live_log_lacks_is_filled_from_the_record_before_the_end(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await live(scene, row, 1)
    async with opened(client, log_of(row), scene.viewer) as stream:
        first = await stream.until(lambda event: event.name == "line")
        await scene.end(row, [LogLine(ts="", level="info", message=f"Live {n}", id=f"5-{n}") for n in range(1, 4)])
        rest = await stream.rest()

    assert messages(first + rest) == ["Live 1", "Live 2", "Live 3"]
    assert rest[-1].data == {"reason": "ended", "status": "completed"}


async def test_a_reader_whose_lines_are_gone_begins_again_and_is_told(scene: Scene, client: Client) -> None:
    row = await scene.record()
    await live(scene, row, 7, 8)

    async with opened(client, log_of(row), scene.viewer, last="5-3") as stream:
        told = await stream.until(lambda event: event.id == "5-8")

    assert told[0].name == "reset"
    assert messages(told) == ["Live 7", "Live 8"]


async def test_a_stream_survives_a_redis_that_is_killed_and_comes_back_empty(
    scene: Scene, client: Client, own_redis: RedisServer
) -> None:
    row = await scene.record()
    await live(scene, row, 1)
    async with opened(client, log_of(row), scene.viewer) as stream:
        first = await stream.until(lambda event: event.name == "line")
        own_redis.kill()
        await stream.until_comment("does not answer")
        own_redis.start()
        await stream.until_comment("all services answer again")
        await live(scene, row, 2)
        rest = await stream.until(lambda event: event.id == "5-2")

    assert messages(first + rest) == ["Live 1", "Live 2"]


async def test_without_redis_a_stream_tells_what_is_recorded(
    scene: Scene, client: Client, own_redis: RedisServer
) -> None:
    own_redis.kill()
    row = await scene.record()
    async with opened(client, log_of(row), scene.viewer) as stream:
        await stream.until_comment("does not answer")
        await scene.end(row, LINES)
        told = await stream.rest()

    assert messages(told) == [line.message for line in LINES]


async def test_fifty_readers_of_one_execution_cost_one_look_a_second(
    scene: Scene, client: Client, live_log: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PER_CALLER", 50)
    row = await scene.record()
    await live(scene, row, 1)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(opened(client, log_of(row), scene.viewer)) for _ in range(50)]
        await asyncio.gather(*(each.until(lambda event: event.name == "line") for each in readers))
        before, at = looks(live_log), time.monotonic()
        await live(scene, row, 2)
        await asyncio.gather(*(each.until(lambda event: event.id == "5-2") for each in readers))
        made, seconds = looks(live_log) - before, time.monotonic() - at

    assert made <= seconds + 2


def looks(server: RedisServer) -> int:
    with redis.Redis(host=server.host, port=server.port, password=server.password) as asked:
        info: Any = asked.info("commandstats")
    return int(info["cmdstat_xrange"]["calls"])


async def test_a_running_execution_says_how_far_it_is(scene: Scene, client: Client) -> None:
    progress = {"progress": {"step": "dump", "bytes": 7, "at": "2026-11-24T02:00:00.000Z"}}
    row = await scene.record(metadata=progress)
    running = await get(client, f"/api/executions/{row.id}", scene.viewer)
    await scene.end(row, LINES)
    ended = await get(client, f"/api/executions/{row.id}", scene.viewer)

    assert running.body["progress"] == progress["progress"]
    assert ended.body["progress"] is None


async def until_ready(stream: Stream) -> None:
    """Return when the stream has told where it is."""
    async with asyncio.timeout(20):
        while not stream.id:
            line = (await stream.answer.content.readline()).decode().rstrip()
            stream.id = line.removeprefix("id: ") if line.startswith("id: ") else ""


def of(row: ExecutionRow, status: str | None = None) -> Callable[[Event], bool]:
    """An event about an execution."""

    def is_told(event: Event) -> bool:
        return event.name == "execution" and event.data["id"] == row.id and status in (None, event.data["status"])

    return is_told


async def test_each_change_of_an_execution_is_told(scene: Scene, client: Client) -> None:
    async with opened(client, f"{STREAM}?namespace={scene.people.here}", scene.viewer) as stream:
        await until_ready(stream)
        row = await scene.record()
        begun = (await stream.until(of(row)))[-1]
        await scene.clients.history.record(
            replace(row, metadata={"progress": {"step": "dump", "bytes": 7, "at": LINES[0].ts}})
        )
        further = (await stream.until(of(row)))[-1]
        await scene.end(row, LINES)
        ended = (await stream.until(of(row, "completed")))[-1]

    one = await get(client, f"/api/executions/{row.id}", scene.viewer)
    assert (begun.data["status"], begun.data["progress"]) == ("running", None)
    assert further.data["progress"]["bytes"] == 7
    assert one.body.items() >= ended.data.items()


async def test_a_caller_is_told_of_what_they_may_read_alone(scene: Scene, client: Client) -> None:
    async with (
        opened(client, STREAM, scene.viewer) as stream,
        opened(client, STREAM, scene.elsewhere) as elsewhere,
        opened(client, f"{STREAM}?operation=restore", scene.viewer) as filtered,
    ):
        for each in (stream, elsewhere, filtered):
            await until_ready(each)
        other = await scene.record(namespace=scene.people.there)
        mine = await scene.record()
        restore = await scene.record(operation="restore")

        told = await stream.until(of(restore))
        told_elsewhere = await elsewhere.until(of(other))
        told_filtered = await filtered.until(of(restore))

    assert {each.data["namespace"] for each in told} == {scene.people.here}
    assert mine.id in [each.data["id"] for each in told]
    assert {each.data["namespace"] for each in told_elsewhere} == {scene.people.there}
    assert {each.data["operation"] for each in told_filtered} == {"restore"}


async def test_what_changed_while_a_client_was_away_is_told_when_it_comes_back(scene: Scene, client: Client) -> None:
    async with opened(client, STREAM, scene.viewer) as stream:
        await until_ready(stream)
        row = await scene.record()
        await stream.until(of(row))
    await scene.end(row, LINES)

    async with opened(client, STREAM, scene.viewer, last=stream.id) as stream:
        told = await stream.until(of(row, "completed"))

    assert "reset" not in [each.name for each in told]


async def test_a_place_that_is_none_is_answered_by_a_reset(scene: Scene, client: Client) -> None:
    async with opened(client, STREAM, scene.viewer, last="yesterday") as stream:
        told = await stream.next()

    assert told is not None
    assert told.name == "reset"


async def test_a_change_that_is_committed_late_is_told(
    scene: Scene, client: Client, migrated: str, postgres_server: PostgresServer
) -> None:
    # Of another job: two ends of one job wait for each other, as they are counted in one total.
    row, later = await scene.record(), await scene.record(job="weekly")
    async with opened(client, STREAM, scene.viewer) as stream:
        await until_ready(stream)
        with psycopg.connect(postgres_server.dsn(migrated)) as slow:
            update = "UPDATE backup_executions SET status = 'completed', finished_at = now() WHERE id = %s"
            slow.execute(update, [row.id])
            await scene.end(later, LINES)
            await stream.until(of(later, "completed"))
        told = await stream.until(of(row, "completed"))

    assert [each.data["id"] for each in told if each.name == "execution"] == [row.id]


def counted(monkeypatch: pytest.MonkeyPatch, query: str) -> list[None]:
    """One for each time that the query is made from now on."""
    calls, ask = list[None](), getattr(reading, query)

    async def noted(*given: Any, **named: Any) -> Any:
        calls.append(None)
        return await ask(*given, **named)

    monkeypatch.setattr(reading, query, noted)
    return calls


async def test_all_clients_share_one_look_a_second(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, "changes")
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(opened(client, STREAM, scene.viewer)) for _ in range(8)]
        for each in readers:
            await until_ready(each)
        calls.clear()
        at = time.monotonic()
        row = await scene.record()
        await asyncio.gather(*(each.until(of(row)) for each in readers))
        seconds = time.monotonic() - at

    assert 1 <= len(calls) <= seconds + 2


async def test_the_ends_of_all_followed_executions_cost_one_look_a_second(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(monkeypatch, "ends_of")
    rows = [await scene.record(name=f"nightly-{n}", job=f"nightly-{n}") for n in range(8)]
    for row in rows:
        await live(scene, row, 1)
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(opened(client, log_of(row), scene.viewer)) for row in rows]
        await asyncio.gather(*(each.until(lambda event: event.name == "line") for each in readers))
        calls.clear()
        at = time.monotonic()
        for row in rows:
            await scene.end(row, [LogLine(ts="", level="info", message="Live 1", id="5-1")])
        told = await asyncio.gather(*(each.rest() for each in readers))
        seconds = time.monotonic() - at

    assert [each[-1].data["status"] for each in told] == ["completed"] * 8
    assert 1 <= len(calls) <= seconds + 2


async def test_a_stream_of_changes_goes_on_after_postgres_was_away(
    scene: Scene, fragile_postgres: PostgresServer, tmp_path: Path
) -> None:
    fragile_postgres.start()
    folder = tmp_path / "own"
    folder.mkdir()
    settings = postgres_settings(fragile_postgres, fragile_postgres.database(), folder)
    migrate(settings, deadline_s=10)
    async with History(settings) as history:
        own = replace(scene, clients=replace(scene.clients, history=history))
        async with served(own.clients) as client, opened(client, STREAM, scene.viewer) as stream:
            await until_ready(stream)
            row = await own.record()
            await stream.until(of(row))
            fragile_postgres.kill()
            await stream.until_comment("history does not answer")
            fragile_postgres.start()
            await stream.until_comment("all services answer again")
            await own.end(row, LINES)
            await stream.until(of(row, "completed"))


async def test_streams_end_at_once_when_the_process_does(scene: Scene, server: TestServer, client: Client) -> None:
    row = await scene.record()
    async with opened(client, log_of(row), scene.viewer) as stream:
        closing = asyncio.create_task(server.close())
        told = await stream.rest()
        async with asyncio.timeout(5):
            await closing

    assert [(each.name, each.data["reason"]) for each in told] == [("end", "shutdown")]


def replace_message(line: LogLine, message: str) -> LogLine:
    return LogLine(ts=line.ts, level=line.level, message=message)


def replace_id(line: LogLine, id: str) -> LogLine:
    return LogLine(ts=line.ts, level=line.level, message=line.message, id=id)
