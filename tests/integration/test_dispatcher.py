"""Limits, priorities and the line, against a real API server and a real Redis; the test plays the controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from dataguardian.domain.capacity import TURN
from dataguardian.kube.client import objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.resources.restore import KIND as RESTORE
from dataguardian.workers import dispatcher, line, sweep
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS

from .clients import until
from .conftest import NewContext
from .workers import Counting, depth, operator
from .world import COMPLETED, STARTED, World

BACKUP = RUN_KINDS["backup"]
NAMES = ("a", "b", "c", "d")


async def test_no_more_run_at_once_than_the_installation_allows(world: World, new_context: NewContext) -> None:
    context = new_context(max_concurrent=2)
    await world.stock(*NAMES)
    async with operator(context):
        for name in NAMES:
            await world.backup(f"run-{name}", name)
            await world.until_status(f"run-{name}", bool, what="it is accepted")
        await world.until_running("run-a", "run-b")

        waits = await world.until_reason("run-c", "LimitReached", "maxConcurrentExecutions of the installation")
        assert waits["status"] == "False"
        assert await depth(context) == 2  # a full system takes nothing
        await world.until_place("run-c", 1)
        await world.until_place("run-d", 2)

        await world.complete("run-a")
        await world.until_running("run-b", "run-c")
        await world.until_place("run-d", 1)
        assert await world.jobs() == ["backup-run-a", "backup-run-b", "backup-run-c"]
        assert "queuePosition" not in await world.status("run-c")


async def test_a_datasource_is_used_by_one_run_at_a_time_and_the_others_say_by_whom(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders", "users")
    async with operator(context):
        for name in ("first", "second", "third"):
            await world.backup(name)
            await world.until_status(name, bool, what="it is accepted")
        await world.until_reason("second", "LimitReached", "BackupExecution first; its spec.maxConcurrentExecutions")
        await world.until_reason("third", "LimitReached")

        async def acknowledged() -> bool:
            return await depth(context) == 0

        await until(acknowledged, what="no entry is left")
        await world.until_place("second", 1)
        await world.until_place("third", 2)
        assert (await world.status("second"))["datasource"] == "orders"

        await world.backup("elsewhere", "users")
        await world.until_running("elsewhere", "first")
        await world.complete("first")
        await world.until_running("elsewhere", "second")
        await world.until_reason("third", "LimitReached", "BackupExecution second;")
        await world.until_place("third", 1)


async def test_a_restore_waits_for_the_backup_of_its_target(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    await world.backup("old")
    done = {"phase": "Completed", "datasource": "orders", "queuedTime": STARTED, "completionTime": STARTED}
    copies = [{"location": "primary", "key": "a/manifest.json", "state": "Stored"}]
    path = objects_path(BACKUP_EXECUTION, world.namespace, "old") + "/status"
    await world.kube.patch(path, {"status": {**done, "copies": copies}})
    async with operator(new_context()):
        await world.backup("first")
        await world.until_running("first")
        await world.restore("back", "old")

        async def waits() -> bool:
            return (await world.status("back", RESTORE)).get("queuePosition") == 1

        await until(waits, what="the restore waits")
        await world.complete("first")
        await world.until_phase("back", "Running", RESTORE)


async def test_a_manual_run_overtakes_scheduled_ones_also_of_other_datasources(
    world: World, new_context: NewContext
) -> None:
    await world.stock(*NAMES)
    async with operator(new_context(max_concurrent=1)):
        for name in ("a", "b", "c"):
            await world.slot(f"slot-{name}", name)
            await world.until_status(f"slot-{name}", bool, what="it is accepted")
        await world.backup("person", "d")
        await world.until_place("person", 1)
        await world.until_place("slot-b", 2)

        await world.complete("slot-a")

        await world.until_running("person")


async def test_who_has_waited_for_longer_gets_the_datasource_whatever_entry_comes_first(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders")
    for name in ("first", "second"):
        await world.backup(name)
    await dispatcher.take_over(context)
    runs = [await context.catalog.read(BACKUP_EXECUTION, world.namespace, name) for name in ("first", "second")]
    for run in runs:
        assert run is not None
        await dispatcher.accept(context, BACKUP, run)
    older = context.catalog.known(BACKUP_EXECUTION, world.namespace, "first")
    newer = context.catalog.known(BACKUP_EXECUTION, world.namespace, "second")
    assert older is not None
    assert newer is not None
    await line.wait(context, BACKUP, older, TURN, known={"datasource": "orders"})

    await dispatcher.dispatch(context, BACKUP, newer)

    assert await world.runs("Running") == [older.metadata.name]
    assert (await world.ready(newer.metadata.name))["reason"] == "LimitReached"
    assert (await world.status(newer.metadata.name))["queuePosition"] == 2


async def test_however_many_are_started_at_once_no_limit_is_overshot(world: World, new_context: NewContext) -> None:
    context = new_context(max_concurrent=3)
    await world.stock("orders", "users", limit=2)
    names = [f"{job}-{number}" for job in ("orders", "users") for number in range(6)]
    for name in names:
        await world.backup(name, name.partition("-")[0])
    await dispatcher.take_over(context)
    for _, run in list(context.slots.open()):
        if run.metadata.namespace == world.namespace:
            await dispatcher.accept(context, BACKUP, run)

    queued = [run for _, run in context.slots.queued()]
    await asyncio.gather(*(dispatcher.dispatch(context, BACKUP, run) for run in queued))

    running = await world.runs("Running")
    assert len(running) == len(await world.jobs()) == 3
    assert max(sum(name.startswith(job) for name in running) for job in ("orders", "users")) <= 2


@pytest.mark.parametrize("end", [World.complete, World.cancel, World.delete])
async def test_whatever_ends_a_run_lets_the_next_one_start_at_once(
    world: World, new_context: NewContext, end: Callable[[World, str], Awaitable[None]]
) -> None:
    await world.stock("orders")
    async with operator(new_context(), sweep_s=3600):
        await world.backup("first")
        await world.until_running("first")
        await world.backup("second")
        await world.until_reason("second", "LimitReached")

        await end(world, "first")

        await world.until_running("second")


async def test_a_full_system_writes_nothing_and_a_change_is_told_to_the_first_of_the_line_only(
    world: World, new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "TOLD", 3)
    context = new_context(max_concurrent=1)
    patched = cast(Counting, context.kube).patched
    await world.stock(*NAMES)
    async with operator(context):
        await world.slot("running", "a")
        await world.until_running("running")
        for number in range(8):
            await world.slot(f"slot-{number}", NAMES[number % 4])
            await world.until_status(f"slot-{number}", lambda status: status.get("queuePosition"), what="it waits")
        await quiet(context)
        assert [len([path for path in patched if f"slot-{number}/" in path]) for number in range(8)] == [1] * 8
        patched.clear()

        await world.complete("running")
        await world.until_running("slot-0")
        await world.until_place("slot-3", 3)
        await quiet(context)

        written = [path.split("/")[-2] for path in patched if "/backupexecutions/" in path]
        assert sorted(written) == ["running", *slots(4)]
        assert [(await world.status(name))["queuePosition"] for name in slots(8)[4:]] == [5, 6, 7, 8]


def slots(count: int) -> list[str]:
    return [f"slot-{number}" for number in range(count)]


async def quiet(context: Context) -> None:
    """Return when several sweeps have written nothing."""
    patched = cast(Counting, context.kube).patched
    swept = 0
    before = len(patched)

    async def look() -> bool:
        nonlocal swept, before
        await sweep.sweep(context)
        swept = swept + 1 if len(patched) == before else 0
        before = len(patched)
        return swept >= 3

    await until(look, what="no sweep writes anything")


async def test_a_run_whose_datasource_is_missing_holds_up_no_other(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    async with operator(new_context(max_concurrent=1)):
        await world.backup("early", "later")
        await world.until_reason("early", "BackupJobNotFound")
        await world.backup("first")
        await world.until_running("first")
        await world.complete("first")
        assert COMPLETED["stored_bytes"] == (await world.until_phase("first", "Completed"))["storedBytes"]
        assert "queuePosition" not in await world.status("early")


async def test_a_quota_on_kubernetes_jobs_is_told(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    quota = {"hard": {"count/jobs.batch": "0"}}
    meta = {"name": "none", "namespace": world.namespace}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": quota}
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    made = await world.kube.create(path, body)
    made["status"] = {**quota, "used": {"count/jobs.batch": "0"}}
    await world.kube.patch(f"{path}/none/status", {"status": made["status"]})
    async with operator(new_context(max_concurrent=1)):
        await world.backup("first")
        await world.until_reason("first", "KubernetesRefused", "exceeded quota")

        await world.kube.delete(f"{path}/none")

        await world.until_running("first")
