"""The live log: the operator's follower of a pod's log against a real API server and Redis."""

from __future__ import annotations

import json

import pytest

from dataguardian.domain.line_id import BEFORE_ALL, LineId
from dataguardian.kube.client import JSON, Kubernetes, pods_path
from dataguardian.live_log import KEEP_S, LINES, LiveLine, LiveLog
from dataguardian.queue import Queue, QueueUnavailable
from dataguardian.workers import follower, live_lines, run_logs
from dataguardian.workers.context import Context

from .clients import frozen, until
from .conftest import NewContext
from .kubelet import Kubelet
from .services import RedisServer
from .workers import operator
from .world import World


def line(number: int, *, execution: str = "e-1", pod: int = 5) -> LiveLine:
    return LiveLine(execution=execution, id=LineId(pod, number), ts="t", level="info", message=f"Line {number}")


async def read(live: LiveLog, execution: str = "e-1") -> list[LiveLine]:
    return await live.read(execution, after=BEFORE_ALL, count=2 * LINES, limit_s=4)


@pytest.fixture
async def live(queue: Queue) -> LiveLog:
    made = LiveLog(queue.client)
    await queue.client.redis.delete("log:e-1")
    return made


async def test_lines_that_are_told_again_are_there_once(live: LiveLog) -> None:
    await live.add([line(1), line(2)])
    await live.add([line(1), line(2), line(3)])
    await live.add([line(1, pod=6), line(2, pod=6)])

    assert [str(each.id) for each in await read(live)] == ["5-1", "5-2", "5-3", "6-1", "6-2"]


async def test_a_log_is_capped_and_goes_away_by_itself(live: LiveLog, queue: Queue) -> None:
    for start in range(1, 2 * LINES, 500):
        await live.add([line(number) for number in range(start, start + 500)])

    found = await read(live)

    assert LINES <= len(found) <= LINES + 200
    assert found[-1].id == LineId(5, 2 * LINES)
    assert KEEP_S - 60 < await queue.client.redis.ttl("log:e-1") <= KEEP_S


async def test_while_redis_is_away_lines_are_kept_in_bounded_memory(
    new_context: NewContext, own_redis: RedisServer
) -> None:
    context = new_context()
    with frozen(own_redis):
        for number in range(1, live_lines.WAITING + 101):
            live_lines.keep(context, line(number))
        with pytest.raises(QueueUnavailable):
            await live_lines.send_all(context)

    assert len(context.unsent) == live_lines.WAITING
    await live_lines.send_all(context)
    found = await read(context.live_log)
    assert (found[0].id.number >= 101, found[-1].id.number) == (True, live_lines.WAITING + 100)


def log(*lines: JSON) -> str:
    head = {"ts": "2026-11-24T02:00:00.000Z", "level": "info"}
    return "".join(json.dumps({**head, **each}) + "\n" for each in lines)


STEP = {"message": "[BACKUP] Step dump", "action": "step_started", "step": "dump"}
FAR = {"message": "[BACKUP] Step dump: 7 bytes so far", "action": "progress", "step": "dump", "bytes": 7, "secret": "x"}
END = {"message": "[BACKUP] Stored", "level": "success", "action": "stored"}


async def test_a_pods_log_comes_live_once_however_often_it_is_followed(
    new_context: NewContext, world: World, node: Kubelet, kube: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RECOVER_S", 0.2)
    monkeypatch.setattr(follower, "PROGRESS_EVERY_S", 0.0)
    context = new_context()
    await world.stock("orders")
    await world.backup("first")
    async with operator(context):
        run = await world.until_phase("first", "Running")
        name = "backup-first-1"
        node.logs[name] = log(STEP, FAR)
        assert await world.start_pod("first", node=node.name) == name
        await until_lines(context, run["executionId"], 2)
        await until_progress(context, run["executionId"], 7)
    again = new_context()
    async with operator(again):  # which reads the log from its beginning
        node.logs[name] += "no JSON\n" + log(END)
        await until_lines(again, run["executionId"], 4)
    found = await read(again.live_log, run["executionId"])
    recorded = [each async for each in run_logs.lines_of(again, await metadata(kube, world, name), silence_s=5)]

    assert [each.message for each in found] == [STEP["message"], FAR["message"], "no JSON", END["message"]]
    assert [each.progress for each in found] == [("dump", 0), ("dump", 7), None, None]
    assert [each.id for each in recorded] == [str(each.id) for each in found]
    assert (await world.status("first"))["progress"] == {"step": "dump", "bytes": 7}


async def metadata(kube: Kubernetes, world: World, pod: str) -> JSON:
    found = await kube.get(pods_path(world.namespace, pod))
    return dict(found["metadata"])


async def until_lines(context: Context, execution: str, count: int) -> None:
    async def are_there() -> bool:
        return len(await read(context.live_log, execution)) == count

    await until(are_there, what=f"{count} lines are live", seconds=20)


async def until_progress(context: Context, execution: str, far: int) -> None:
    """Return when the row says how far the run is."""

    async def is_recorded() -> bool:
        async with context.history.connection() as connection:
            cursor = await connection.execute(
                "SELECT metadata -> 'progress' ->> 'bytes' FROM backup_executions WHERE id = %s", (execution,)
            )
            found = await cursor.fetchone()
        return found == (str(far),)

    await until(is_recorded, what="the row has the progress", seconds=20)


async def test_a_follower_goes_on_while_redis_is_away(
    new_context: NewContext, world: World, node: Kubelet, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RECOVER_S", 0.2)
    context = new_context()
    await world.stock("orders")
    await world.backup("first")
    async with operator(context):
        run = await world.until_phase("first", "Running")
        own_redis.kill()
        node.logs["backup-first-1"] = log(STEP, FAR)
        await world.start_pod("first", node=node.name)

        await world.until_status("first", lambda status: status.get("progress"), what="the status has the progress")

        own_redis.start()
        await until_lines(context, run["executionId"], 2)
