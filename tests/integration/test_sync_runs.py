"""A DatabaseSyncExecution from its creation to its end, against a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dataguardian.kube.client import jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import storage_location
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.datasource import KIND as DATASOURCE
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION as SYNC
from dataguardian.resources.sync import DATABASE_SYNC_JOB as SYNC_JOB
from dataguardian.resources.sync import DatabaseSyncExecution
from dataguardian.workers import dispatcher, running, sweep
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS

from .conftest import NewContext
from .workers import operator
from .world import COMPLETED, STOPPED, World

RUN_KIND = RUN_KINDS["sync"]


async def dispatched(context: Context, world: World) -> dict[str, Any]:
    """The operator has looked at a new sync once."""
    await dispatcher.take_over(context)
    run = DatabaseSyncExecution.read(await world.sync("first"))
    await dispatcher.accept(context, RUN_KIND, run)
    await dispatcher.dispatch_known(context, RUN_KIND, run)
    return await world.status("first", SYNC)


async def stocked(world: World, **spec: Any) -> None:
    await world.stock("orders", "staging")
    await world.sync_job(**spec)


async def patch(world: World, kind: Any, name: str, spec: dict[str, Any]) -> None:
    await world.kube.patch(objects_path(kind, world.namespace, name), {"spec": spec})


async def test_a_sync_becomes_a_kubernetes_job_with_the_limits_of_its_job(
    world: World, new_context: NewContext
) -> None:
    await stocked(world, activeDeadlineSeconds=600, backoffLimit=1, dropExisting=True)

    status = await dispatched(new_context(), world)

    assert status["phase"] == "Running"
    job = await world.kube.get(jobs_path(world.namespace, "sync-first"))
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["backoffLimit"]) == (600, 1)
    plan = json.loads(planned(job))
    assert (plan["operation"], plan["drop_existing"]) == ("sync", True)
    assert (plan["source"]["datasource"], plan["target"]["datasource"]) == ("orders", "staging")


async def test_the_kept_dump_becomes_a_backup_of_the_sources_job(world: World, new_context: NewContext) -> None:
    await stocked(world, storageLocationRef={"name": "primary"})

    await dispatched(new_context(), world)

    plan = json.loads(planned(await world.kube.get(jobs_path(world.namespace, "sync-first"))))
    assert (plan["backup"]["job_name"], len(plan["backup"]["targets"])) == ("orders", 1)


@pytest.mark.parametrize(
    ("sync_job", "changes", "code"),
    [
        pytest.param({}, [(DATASOURCE, "staging", {"database": "orders"})], "same-database", id="same"),
        pytest.param({}, [(DATASOURCE, "staging", {"classification": ["PRODUCTION"]})], "production-target", id="prod"),
        pytest.param(
            {"storageLocationRef": {"name": "primary"}},
            [(BACKUP_JOB, "orders", {"options": {"schemas": ["sales"]}})],
            "not-found",
            id="no-job",
        ),
        pytest.param(
            {"storageLocationRef": {"name": "primary"}, "backupJobRef": {"name": "staging"}},
            [],
            "spec-invalid",
            id="job-of-another",
        ),
        pytest.param(
            {"storageLocationRef": {"name": "primary"}},
            [(storage_location.KIND, "primary", {"accessMode": "ReadOnly"})],
            "spec-invalid",
            id="read-only",
        ),
    ],
)
async def test_what_the_objects_forbid_is_refused_before_anything_runs(
    world: World, new_context: NewContext, sync_job: dict[str, Any], changes: list[Any], code: str
) -> None:
    await stocked(world, **sync_job)
    for change in changes:
        await patch(world, *change)

    status = await dispatched(new_context(), world)

    assert (status["phase"], status["error"]["code"]) == ("Failed", code)
    assert "spec." in status["error"]["message"]
    assert await world.jobs() == []


async def test_a_sync_waits_for_what_it_names(world: World, new_context: NewContext) -> None:
    await world.stock("orders")
    async with operator(new_context()):
        await world.sync("first")
        await world.until_reason("first", "DatabaseSyncJobNotFound", kind=SYNC)
        await world.sync_job(storageLocationRef={"name": "primary"}, backupJobRef={"name": "later"})
        await world.until_reason("first", "DatasourceNotFound", "'staging'", kind=SYNC)
        spec = (await world.get("orders", DATASOURCE))["spec"]
        await world.create(DATASOURCE, "staging", {**spec, "database": "staging"})
        await world.until_reason("first", "BackupJobNotFound", kind=SYNC)
        spec = (await world.get("orders", BACKUP_JOB))["spec"]
        await world.create(BACKUP_JOB, "later", spec)

        await world.until_phase("first", "Running", SYNC)


async def test_a_sync_ends_with_its_figures_and_tells_its_progress_meanwhile(
    world: World, new_context: NewContext
) -> None:
    synced = {"removed": 1, "switch_ms": 80, "previous": "dg_previous_staging_20261124020000"}
    report = {**COMPLETED, "tables": 3, "rows": 40, "synced": {**synced, "previous_until": "2026-11-25T02:00:00Z"}}
    await stocked(world)
    async with operator(new_context()):
        await world.sync("first")
        await world.until_phase("first", "Running", SYNC)

        await world.complete("first", "sync", report=report)

        status = await world.until_phase("first", "Completed", SYNC)
    assert (status["tables"], status["rows"], status["removed"], status["switchMilliseconds"]) == (3, 40, 1, 80)
    assert status["previousDatabase"] == {"name": synced["previous"], "dropTime": "2026-11-25T02:00:00Z"}
    assert "backupExecution" not in status


async def test_a_running_sync_that_is_cancelled_ends_when_its_pod_has(world: World, new_context: NewContext) -> None:
    await stocked(world)
    async with operator(new_context()):
        await world.sync("first")
        await world.until_phase("first", "Running", SYNC)
        pod = await world.start_pod("first", "sync")

        await world.cancel("first", SYNC)
        await world.until_going("first", "sync")
        await world.end_pod(pod, STOPPED, 143)

        status = await world.until_phase("first", "Cancelled", SYNC)
        await world.remove_pod(pod)
        await world.collect_job("first", "sync")
    assert status["error"]["code"] == "cancelled"


async def test_a_sync_whose_kubernetes_job_is_gone_ends_as_lost(
    world: World, new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOST_AFTER", running.LOST_AFTER * 0)
    context = new_context()
    await stocked(world)
    await dispatched(context, world)
    await world.kube.delete(jobs_path(world.namespace, "sync-first"))

    await sweep.sweep(context)

    status = await world.status("first", SYNC)
    assert (status["phase"], status["error"]["code"]) == ("Failed", "runner-lost")
    assert list(context.slots.open()) == []


async def test_a_sync_goes_on_as_it_was_begun_when_its_job_is_deleted(world: World, new_context: NewContext) -> None:
    context = new_context()
    await stocked(world)
    await dispatched(context, world)

    await world.delete("refresh", SYNC_JOB)
    await sweep.sweep(context)

    assert (await world.status("first", SYNC))["phase"] == "Running"
