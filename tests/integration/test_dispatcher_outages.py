"""What is lost on the way to a start is found again: Redis, entries, events, the operator itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.workers import dispatcher, sweep
from dataguardian.workers.operations import RUN_KINDS

from .clients import until
from .conftest import NewContext
from .services import RedisServer
from .workers import depth, operator
from .world import World

BACKUP = RUN_KINDS["backup"]
NAMES = ("a", "b", "c", "d")


async def test_a_deletion_that_no_watch_told_of_frees_the_slot_too(world: World, new_context: NewContext) -> None:
    context = new_context()
    await world.stock("orders")
    await world.backup("first")
    await dispatcher.take_over(context)
    ((_, run),) = context.slots.open()
    await dispatcher.accept(context, BACKUP, run)
    await world.delete("first")

    await sweep.sweep(context)
    await dispatcher.take_turn(context, [])

    assert list(context.slots.open()) == []
    assert await depth(context) == 0


async def test_flushall_loses_no_run_and_starts_none_twice(
    world: World, new_context: NewContext, own_redis: RedisServer
) -> None:
    context = new_context(max_concurrent=1)
    await world.stock(*NAMES)
    async with operator(context):
        for name in NAMES:
            await world.slot(f"slot-{name}", name)
            await world.until_status(f"slot-{name}", bool, what="it is accepted")
        async with redis.asyncio.Redis.from_url(own_redis.url()) as admin:
            await admin.flushall()

        for name in NAMES:
            await world.until_running(f"slot-{name}")
            await world.complete(f"slot-{name}")
            await world.until_phase(f"slot-{name}", "Completed")

    assert await world.jobs() == [f"backup-slot-{name}" for name in NAMES]


async def test_while_redis_is_away_runs_start_without_it_by_the_same_rules(
    world: World, new_context: NewContext, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new_context(max_concurrent=2)
    await world.stock(*NAMES)
    async with operator(context):
        own_redis.stop()
        for name in NAMES:
            await world.slot(f"slot-{name}", name)
        for name in NAMES:
            await world.until_reason(f"slot-{name}", "QueueUnavailable")
        await world.backup("person", "d")
        await world.until_reason("person", "QueueUnavailable")
        assert await world.jobs() == []

        monkeypatch.setattr(sweep, "QUEUE_AWAY_S", 0.0)
        await world.until_phase("person", "Running")

        async def two() -> bool:
            return len(await world.runs("Running")) == 2

        await until(two, what="two run")
        await world.until_reason("slot-d", "LimitReached")
        assert len(await world.jobs()) == 2
        monkeypatch.setattr(sweep, "QUEUE_AWAY_S", 1000.0)
        own_redis.start()
        for _ in range(len(NAMES) + 1):
            await until(two_or_last(world), what="more start when it is back")
            for name in await world.runs("Running"):
                await world.complete(name)
                await world.until_phase(name, "Completed")
    assert len(await world.runs("Completed")) == len(NAMES) + 1


def two_or_last(world: World) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        waiting, running = await world.runs("Queued"), await world.runs("Running")
        return len(running) == 2 or not waiting

    return look


async def test_an_operator_that_takes_over_counts_what_is_half_started(
    world: World, new_context: NewContext, kube: Kubernetes
) -> None:
    """The one before it was killed between a Kubernetes Job and its run's status."""
    first = new_context(max_concurrent=1)
    await world.stock("a", "b")
    async with operator(first):
        await world.backup("half", "a")
        await world.until_running("half")
        await world.backup("next", "b")
        await world.until_reason("next", "LimitReached")
    status = {"phase": "Queued", "startTime": None, "datasource": None}
    await kube.patch(objects_path(BACKUP_EXECUTION, world.namespace, "half") + "/status", {"status": status})

    second = new_context(max_concurrent=1)
    await dispatcher.take_over(second)
    assert second.slots.capacity().room == 0
    async with operator(second):
        await world.until_running("half")
        await world.until_reason("next", "LimitReached")
        assert await world.jobs() == ["backup-half"]
