"""Syncs in the line: they use two datasources. Against a real API server and a real Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from dataguardian.kube.client import objects_path
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION as SYNC
from dataguardian.workers import dispatcher

from .conftest import NewContext
from .workers import operator
from .world import World


async def stocked(world: World, **spec: Any) -> None:
    await world.stock("orders", "staging")
    await world.sync_job(**spec)


async def test_a_sync_uses_its_target_and_its_source_and_both_are_others_when_it_ends(
    world: World, new_context: NewContext
) -> None:
    await stocked(world, strategy="Swap")
    async with operator(new_context(), sweep_s=3600):
        await world.sync("first")
        status = await world.until_phase("first", "Running", SYNC)
        assert (status["datasource"], status["source"], status["strategy"]) == ("staging", "orders", "Swap")
        assert await world.jobs() == ["sync-first"]
        for name in ("orders", "staging"):
            await world.backup(f"of-{name}", name)
            busy = f"Datasource '{name}' is used by DatabaseSyncExecution first;"
            await world.until_reason(f"of-{name}", "LimitReached", busy)

        await world.complete("first", "sync")

        await world.until_running("of-orders", "of-staging")


async def test_a_sync_waits_until_both_datasources_are_free_and_nobody_waits_behind_it(
    world: World, new_context: NewContext
) -> None:
    await stocked(world)
    async with operator(new_context()):
        await world.backup("busy", "staging")
        await world.until_running("busy")
        await world.sync("first")
        await world.until_reason(
            "first", "LimitReached", "Datasource 'staging' is used by BackupExecution busy", kind=SYNC
        )
        assert (await world.status("first", SYNC))["queuePosition"] == 1

        await world.backup("of-source", "orders")
        await world.until_running("busy", "of-source")
        await world.complete("busy")
        await world.until_reason("first", "LimitReached", "'orders' is used by BackupExecution of-source", kind=SYNC)
        await world.backup("of-target", "staging")
        await world.until_running("of-source", "of-target")

        await world.complete("of-source")
        await world.until_reason("first", "LimitReached", "'staging' is used by BackupExecution of-target", kind=SYNC)
        await world.complete("of-target")
        await world.until_phase("first", "Running", SYNC)


async def test_a_sync_that_has_waited_for_longer_goes_before_a_backup_of_its_source(
    world: World, new_context: NewContext
) -> None:
    await stocked(world)
    async with operator(new_context(), sweep_s=3600):
        await world.backup("busy", "staging")
        await world.backup("also-busy", "orders")
        await world.until_running("also-busy", "busy")
        await world.sync("first")
        await world.until_reason("first", "LimitReached", kind=SYNC)
        await world.backup("of-source", "orders")
        await world.until_reason("of-source", "LimitReached")

        await world.complete("busy")
        await world.until_phase("busy", "Completed")
        await world.complete("also-busy")

        await world.until_phase("first", "Running", SYNC)
        assert await world.runs("Running") == []


@pytest.mark.parametrize(
    "end", [partial(World.cancel, kind=SYNC), partial(World.delete, kind=SYNC)], ids=["cancelled", "deleted"]
)
async def test_a_waiting_sync_that_ends_holds_up_nobody(
    world: World, new_context: NewContext, end: Callable[[World, str], Awaitable[None]]
) -> None:
    await stocked(world)
    async with operator(new_context(), sweep_s=3600):
        await world.backup("busy", "orders")
        await world.until_running("busy")
        await world.sync("first")
        await world.until_reason("first", "LimitReached", kind=SYNC)

        await end(world, "first")
        await world.backup("of-target", "staging")

        await world.until_running("busy", "of-target")
    assert await world.jobs() == ["backup-busy", "backup-of-target"]


async def test_a_half_started_sync_holds_both_datasources_for_the_next_operator(
    world: World, new_context: NewContext
) -> None:
    await stocked(world)
    async with operator(new_context()):
        await world.sync("first")
        await world.until_phase("first", "Running", SYNC)
    before = {"phase": "Queued", "startTime": None, "datasource": None, "source": None, "strategy": None}
    await world.kube.patch(objects_path(SYNC, world.namespace, "first") + "/status", {"status": before})

    second = new_context()
    await dispatcher.take_over(second)

    (use,) = second.slots.capacity().uses
    assert list(use.datasources) == [(world.namespace, "staging"), (world.namespace, "orders")]
    async with operator(second):
        status = await world.until_phase("first", "Running", SYNC)
    assert (status["datasource"], status["source"], status["strategy"]) == ("staging", "orders", "Transaction")
