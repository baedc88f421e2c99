"""``spec.cancel``, against a real API server; the test plays the kubelet and the controllers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dataguardian.kube.client import jobs_path, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION
from dataguardian.workers import cancel
from dataguardian.workers.context import Context

from .clients import until
from .conftest import NewContext
from .kubelet import Kubelet
from .workers import operator
from .world import COMPLETED, STOPPED, World

FAILED = {
    "completed": False,
    "failure": {"code": "storage-unavailable", "step": "dump", "message": "The store is away.", "remedy": "Wait."},
}


async def row(context: Context, world: World, name: str) -> tuple[Any, ...] | None:
    async with context.history.connection() as connection:
        query = "SELECT status, error_code, stored_bytes FROM backup_executions WHERE namespace = %s AND name = %s"
        return await (await connection.execute(query, [world.namespace, name])).fetchone()


async def until_row(context: Context, world: World, name: str, *wanted: Any) -> None:
    async def look() -> bool:
        return await row(context, world, name) == wanted

    await until(look, what=f"the row of {name} says {wanted}")


async def running(world: World, name: str = "first") -> str:
    """Start a run; the name of its pod."""
    await world.backup(name)
    await world.until_phase(name, "Running")
    return await world.start_pod(name)


async def collect(world: World, pod: str, name: str = "first") -> None:
    """What follows the end of the pod."""
    await world.remove_pod(pod)
    await world.collect_job(name)


async def test_a_waiting_run_is_cancelled_at_once_and_never_starts(world: World, new_context: NewContext) -> None:
    context = new_context(max_concurrent=1)
    await world.stock("a", "b")
    async with operator(context):
        await world.backup("busy", "a")
        await world.until_phase("busy", "Running")
        await world.backup("first", "b")
        await world.until_reason("first", "LimitReached")

        await world.cancel("first")

        status = await world.until_phase("first", "Cancelled")
        assert status["error"]["code"] == "cancelled"
        assert "queuePosition" not in status
        await until_row(context, world, "first", "cancelled", "cancelled", None)
        await world.complete("busy")
        await world.until_phase("busy", "Completed")

        async def empty() -> bool:
            return await context.queue.depth("backup-queue") == 0

        await until(empty, what="its entry is acknowledged")
    assert await world.jobs() == ["backup-busy"]


async def test_a_run_that_is_cancelled_from_the_beginning_never_starts(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        await world.backup("first", cancel=True)

        await world.until_phase("first", "Cancelled")
    assert await world.jobs() == []


@pytest.mark.parametrize(
    ("report", "exit_code", "ends"),
    [
        pytest.param(STOPPED, 143, "Cancelled", id="stopped"),
        pytest.param(None, 137, "Cancelled", id="killed"),
        pytest.param(FAILED, 75, "Cancelled", id="failed"),
        pytest.param(COMPLETED, 0, "Completed", id="completed-after-all"),
    ],
)
async def test_a_running_run_ends_when_its_pod_has_and_as_its_runner_says(
    world: World, new_context: NewContext, report: Any, exit_code: int, ends: str
) -> None:
    context = new_context()
    await world.stock("orders")
    async with operator(context):
        pod = await running(world)
        await world.backup("second")
        await world.until_reason("second", "LimitReached")

        await world.cancel("first")
        await world.until_going("first")
        assert (await world.status("first"))["phase"] == "Running"
        await world.end_pod(pod, report, exit_code)
        status = await world.until_phase("first", ends)
        await collect(world, pod)

        assert status.get("storedBytes") == (500 if ends == "Completed" else None)
        code = "cancelled" if ends == "Cancelled" else None
        await until_row(context, world, "first", ends.lower(), code, status.get("storedBytes"))
        await world.until_phase("second", "Running")


async def test_the_log_of_a_cancelled_run_is_in_history_though_its_pod_is_gone(
    world: World, new_context: NewContext, node: Kubelet
) -> None:
    context = new_context()
    await world.stock("orders")
    async with operator(context):
        await world.backup("first")
        await world.until_phase("first", "Running")
        told = {"ts": "2026-11-24T02:00:00.000Z", "level": "info", "message": "[BACKUP] Step dump"}
        node.logs["backup-first-1"] = json.dumps(told)
        pod = await world.start_pod("first", node=node.name)

        await world.cancel("first")
        await world.until_going("first")
        await world.end_pod(pod, STOPPED, 143)
        await world.until_phase("first", "Cancelled")
        await collect(world, pod)

        async def logged() -> bool:
            async with context.history.connection() as connection:
                query = "SELECT metadata #> '{execution_logs,0}' FROM backup_executions WHERE namespace = %s"
                rows = await (await connection.execute(query, [world.namespace])).fetchall()
            return [line and {name: line[name] for name in told} for (line,) in rows] == [told]

        await until(logged, what="the row has the log")


async def test_a_pod_that_never_started_is_not_waited_for(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        await world.backup("first")
        await world.until_phase("first", "Running")
        pod = await world.start_pod("first", phase="Pending", containerStatuses=[])
        await world.cancel("first")
        await world.until_going("first")

        await collect(world, pod)

        await world.until_phase("first", "Cancelled")


async def test_a_kubernetes_job_without_a_pod_is_not_waited_for(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        await world.backup("first")
        await world.until_phase("first", "Running")

        await world.cancel("first")

        await world.until_phase("first", "Cancelled")
        await world.until_going("first")


async def test_a_node_that_is_silent_does_not_keep_a_run_from_its_end(
    world: World, new_context: NewContext, node: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "STOP_S", 0.5)
    await world.stock("orders")
    async with operator(new_context()):
        await running(world)

        await world.cancel("first")
        await world.find_nothing("first", node)

        await world.until_phase("first", "Cancelled")


async def test_a_result_that_was_there_before_the_request_stays(world: World, new_context: NewContext) -> None:
    """The Kubernetes Job has ended, and its result is not recorded yet."""
    await world.stock("orders")
    async with operator(new_context()):
        await world.backup("first")
        await world.until_phase("first", "Running")
    await world.complete("first")
    await world.cancel("first")
    async with operator(new_context()):
        await world.until_phase("first", "Completed")
    assert "deletionTimestamp" not in (await world.kube.get(jobs_path(world.namespace, "backup-first")))["metadata"]


async def test_cancelling_what_has_ended_changes_nothing(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    context = new_context()
    async with operator(context):
        await world.backup("first")
        await world.until_phase("first", "Running")
        await world.complete("first")
        before = await world.until_phase("first", "Completed")

        await world.cancel("first")
        await world.backup("second")
        await world.until_phase("second", "Running")

        assert await world.status("first") == before
        assert context.stopping == {}


@pytest.mark.parametrize("ends", ["Completed", "Cancelled"])
async def test_an_operator_that_is_killed_while_the_pod_ends_leaves_the_rest_to_the_next_one(
    world: World, new_context: NewContext, ends: str
) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        pod = await running(world)
        await world.cancel("first")
        await world.until_going("first")
    await world.end_pod(pod, COMPLETED if ends == "Completed" else STOPPED, 0 if ends == "Completed" else 143)

    async with operator(new_context()):
        await world.until_phase("first", ends)


async def test_an_operator_that_finds_nothing_left_of_a_cancelled_run_asks_the_store(
    world: World, new_context: NewContext, node: Kubelet
) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        pod = await running(world)
        await world.cancel("first")
        await world.until_going("first")
    await world.end_pod(pod, STOPPED, 143)
    await collect(world, pod)

    async with operator(new_context()):
        await world.find_nothing("first", node)
        await world.until_phase("first", "Cancelled")


async def test_a_half_started_run_is_stopped_before_it_is_cancelled(world: World, new_context: NewContext) -> None:
    """An operator was killed between its Kubernetes Job and its status."""
    await world.stock("orders")
    async with operator(new_context()):
        pod = await running(world)
    status = {"phase": "Queued", "startTime": None, "datasource": None}
    await world.kube.patch(objects_path(BACKUP_EXECUTION, world.namespace, "first") + "/status", {"status": status})
    await world.cancel("first")

    async with operator(new_context()):
        await world.until_going("first")
        await world.end_pod(pod, STOPPED, 143)
        status = await world.until_phase("first", "Cancelled")
    assert status["datasource"] == "orders"


async def test_the_last_word_counts_when_pod_and_kubernetes_job_go_at_once(
    world: World, new_context: NewContext
) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        pod = await running(world)
        await world.cancel("first")
        await world.until_going("first")

        await asyncio.gather(_end_and_remove(world, pod), world.collect_job("first"))

        await world.until_phase("first", "Completed")


async def _end_and_remove(world: World, pod: str) -> None:
    await world.end_pod(pod, COMPLETED)
    await world.remove_pod(pod)
