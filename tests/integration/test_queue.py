"""The queues, on a real Redis."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis.asyncio

from dataguardian import queue as queues
from dataguardian.domain.capacity import Priority
from dataguardian.errors import ConfigInvalid
from dataguardian.queue import Entry, Queue, QueueUnavailable
from dataguardian.settings import RedisSettings

from .clients import frozen, redis_settings
from .services import RedisServer

NAME = "backup-queue"
LIMIT_S = 5.0


@pytest.fixture(scope="module")
def fragile_server() -> Iterator[RedisServer]:
    """A server that tests may stop, freeze and flush."""
    server = RedisServer(appendonly=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def server(fragile_server: RedisServer) -> RedisServer:
    fragile_server.start()
    async with redis.asyncio.Redis.from_url(fragile_server.url()) as client:
        await client.flushall()
    return fragile_server


@pytest.fixture
async def admin(server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(server.url(), decode_responses=True) as client:
        yield client


@pytest.fixture
def settings(server: RedisServer, tmp_path: Path) -> RedisSettings:
    return redis_settings(server, tmp_path)


@pytest.fixture
async def queue(settings: RedisSettings) -> AsyncIterator[Queue]:
    async with Queue(settings) as opened:
        yield opened


def entry(name: str = "nightly-202611240200", priority: Priority = "scheduled") -> Entry:
    return Entry(execution_id=str(uuid.uuid4()), namespace="shop", name=name, priority=priority)


async def taken(queue: Queue, count: int = 10, priority: Priority = "scheduled") -> list[Entry]:
    return await queue.take(NAME, priority, count=count)


async def refusal(queue: Queue) -> float:
    """After how many seconds a caller is told."""
    begun = time.monotonic()
    with pytest.raises(QueueUnavailable):
        await queue.depth(NAME)
    return time.monotonic() - begun


async def test_entries_are_taken_in_order_and_once(queue: Queue) -> None:
    first, second = entry("a"), entry("b")
    await queue.push(NAME, first)
    await queue.push(NAME, second)

    assert await taken(queue) == [first, second]
    assert await taken(queue) == []


async def test_no_more_are_taken_than_asked_for(queue: Queue) -> None:
    for _ in range(3):
        await queue.push(NAME, entry())

    assert [len(await taken(queue, 2)), len(await taken(queue, 2))] == [2, 1]


async def test_takers_at_once_share_the_entries(queue: Queue) -> None:
    pushed = [entry(str(number)) for number in range(40)]
    for each in pushed:
        await queue.push(NAME, each)

    shares = await asyncio.gather(*(taken(queue, 10) for _ in range(8)))

    assert sorted(each.name for share in shares for each in share) == sorted(each.name for each in pushed)


async def test_queues_are_apart(queue: Queue) -> None:
    await queue.push("restore-queue", entry())

    assert await taken(queue) == []
    assert (await queue.depth(NAME), await queue.depth("restore-queue")) == (0, 1)


async def test_an_entry_counts_as_waiting_until_it_is_acknowledged(queue: Queue, admin: redis.asyncio.Redis) -> None:
    await queue.push(NAME, entry())
    (held,) = await taken(queue)

    assert (await queue.waiting(NAME), await queue.depth(NAME)) == ({held.execution_id}, 1)
    await queue.ack(NAME, held)
    await queue.ack(NAME, held)
    assert (await queue.waiting(NAME), await queue.depth(NAME)) == (set(), 0)
    assert (await admin.xpending(NAME, queues.GROUP))["pending"] == 0


async def test_waiting_names_every_execution_of_a_long_queue(queue: Queue, admin: redis.asyncio.Redis) -> None:
    async with admin.pipeline() as pipeline:
        for number in range(2_500):
            pipeline.xadd(NAME, {"execution_id": str(number), "namespace": "shop", "name": "x"})
        await pipeline.execute()

    assert await queue.waiting(NAME) == {str(number) for number in range(2_500)}


async def test_a_manual_entry_waits_behind_no_scheduled_one(queue: Queue) -> None:
    for number in range(20):
        await queue.push(NAME, entry(str(number)))
    person = entry("person", "manual")
    await queue.push(NAME, person)

    assert await taken(queue, priority="manual") == [person]
    assert await queue.waiting(NAME) >= {person.execution_id}
    assert (await queue.depth(NAME), len(await queue.waiting(NAME))) == (21, 21)


async def test_an_acknowledged_manual_entry_is_gone(queue: Queue, admin: redis.asyncio.Redis) -> None:
    await queue.push(NAME, entry("person", "manual"))
    (held,) = await taken(queue, priority="manual")

    await queue.ack(NAME, held)

    assert await queue.depth(NAME) == 0
    assert (await admin.xpending(f"{NAME}:manual", queues.GROUP))["pending"] == 0


async def test_nothing_is_waited_for_where_there_is_nothing(queue: Queue) -> None:
    begun = time.monotonic()

    assert await taken(queue) == []
    assert time.monotonic() - begun < 1


async def test_an_entry_of_a_dead_worker_is_taken_over(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    await queue.push(NAME, entry())
    held = await taken(queue)
    assert await taken(queue) == []

    monkeypatch.setattr(queues, "ABANDONED_MS", 0)

    assert await taken(queue) == held


async def test_many_entries_of_a_dead_worker_come_back_in_parts(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = [entry(str(number)) for number in range(30)]
    for each in pushed:
        await queue.push(NAME, each)
    await taken(queue, 30)
    monkeypatch.setattr(queues, "ABANDONED_MS", 0)

    back = []
    for _ in range(10):
        part = await taken(queue, 3)
        back.extend(part)
        for each in part:
            await queue.ack(NAME, each)

    assert back == pushed


async def test_flushall_loses_no_new_entry(queue: Queue, admin: redis.asyncio.Redis) -> None:
    await queue.push(NAME, entry("lost"))
    (held,) = await taken(queue)
    await admin.flushall()

    new = entry("new")
    await queue.push(NAME, new)
    await queue.ack(NAME, held)

    assert await taken(queue) == [new]


async def test_a_stranger_in_the_queue_is_removed(
    queue: Queue, admin: redis.asyncio.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await admin.xadd(NAME, {"something": "else"})
    misplaced = {"execution_id": "x", "namespace": "shop", "name": "x", "priority": "manual"}
    await admin.xadd(NAME, cast(dict[Any, Any], misplaced))
    ours = entry()
    await queue.push(NAME, ours)

    assert await taken(queue) == [ours]
    assert await queue.depth(NAME) == 1
    assert "not one of ours" in caplog.text


async def test_a_stopped_server_is_told_at_once_and_used_again_when_it_is_back(
    server: RedisServer, queue: Queue
) -> None:
    held = entry()
    await queue.push(NAME, held)
    assert queue.away_seconds() == 0
    server.stop()

    assert await refusal(queue) < 1
    assert queue.away_seconds() > 0
    server.start()
    assert await taken(queue) == [held]
    assert queue.away_seconds() == 0


async def test_a_restart_between_two_calls_is_not_noticed(server: RedisServer, queue: Queue) -> None:
    await asyncio.gather(*(queue.depth(NAME) for _ in range(4)))
    server.stop()
    server.start()

    for _ in range(4):
        await queue.depth(NAME)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_frozen_server_costs_less_than_five_seconds(server: RedisServer, queue: Queue, connected: bool) -> None:
    if connected:
        await queue.depth(NAME)
    with frozen(server):
        seconds = await refusal(queue)

    assert seconds < LIMIT_S
    assert await queue.depth(NAME) == 0


async def test_an_answer_that_came_too_late_is_nobody_elses(server: RedisServer, queue: Queue) -> None:
    """A connection whose caller gave up is not used again: its late answer would go to the next one."""
    await queue.push(NAME, entry())
    with frozen(server):
        await refusal(queue)

    assert [len(await taken(queue)), await queue.depth(NAME), await queue.depth("other")] == [1, 1, 0]


async def test_a_changed_password_is_used_without_a_restart(
    settings: RedisSettings, queue: Queue, admin: redis.asyncio.Redis
) -> None:
    assert settings.password_file is not None
    try:
        await admin.config_set("requirepass", "second")
        await admin.client_kill_filter(_type="normal", skipme=True)
        await refusal(queue)

        settings.password_file.write_text("second")
        assert await queue.depth(NAME) == 0
    finally:
        await admin.config_set("requirepass", "redis-secret")


async def test_a_missing_secret_file_is_named(settings: RedisSettings, queue: Queue) -> None:
    assert settings.password_file is not None
    settings.password_file.unlink()

    with pytest.raises(ConfigInvalid, match="redis-password"):
        await queue.depth(NAME)
