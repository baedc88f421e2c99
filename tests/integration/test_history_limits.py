"""Old run objects go, against a real API server and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dataguardian.history import History, HistoryUnavailable
from dataguardian.kube.client import JSON, Kubernetes, jobs_path, objects_path
from dataguardian.resources import drill, restore
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution
from dataguardian.resources.common import Resource
from dataguardian.resources.drill import RestoreDrill
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION, DATABASE_SYNC_JOB
from dataguardian.workers import recorder, rows
from dataguardian.workers.context import Context
from dataguardian.workers.history_limits import limit_all
from dataguardian.workers.judging import judge
from dataguardian.workers.operations import run_kind_of
from dataguardian.workers.scheduler import Scheduler

from . import stored
from .clients import postgres_settings
from .recording import Place
from .rehearsed import make_drill, request
from .services import PostgresServer
from .synced import make_job, make_run

NONE = {"failedHistoryLimit": 0, "successfulHistoryLimit": 0}


@pytest.fixture
async def history(postgres_server: PostgresServer, migrated: str, tmp_path: Path) -> AsyncIterator[History]:
    """A history with its tables."""
    async with History(postgres_settings(postgres_server, migrated, tmp_path)) as opened:
        yield opened


async def record(context: Context, *runs: Resource[Any, Any]) -> None:
    """History gets the rows of these runs."""
    for run in runs:
        recorder.record_state(context, run_kind_of(run), run)
    await rows.write_waiting(context)


async def names(kube: Kubernetes, namespace: str) -> set[str]:
    return set(await stored.entries(kube, namespace))


async def test_the_oldest_runs_that_left_nothing_are_deleted_beyond_each_limit(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, failedHistoryLimit=1, successfulHistoryLimit=1)
    ended = [
        await stored.entry(context, job, 1, phase="Failed", copies={}),
        await stored.entry(context, job, 2, phase="Cancelled", copies={}),
        await stored.entry(context, job, 3, copies={"primary": "Removed"}),
        await stored.entry(context, job, 4, copies={"primary": "Missing"}),
        await stored.entry(context, job, 5, copies={"primary": "Stored", "offsite": "Missing"}),
    ]
    await record(context, *ended)

    for _ in range(2):
        await limit_all(context)

    assert await names(kube, namespace) == {"nightly-1", "nightly-3", "nightly-5"}


async def test_a_backup_that_is_found_again_meanwhile_is_kept(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, **NONE)
    entry = await stored.entry(context, job, copies={"primary": "Missing"})
    await record(context, entry)
    status = [{"location": "primary", "key": entry.status.copies[0].key, "state": "Stored"}]
    path = f"/apis/dataguardian.io/v1alpha1/namespaces/{namespace}/backupexecutions/nightly-1/status"
    await kube.patch(path, {"status": {"copies": status}})

    await limit_all(context)

    assert await names(kube, namespace) == {"nightly-1"}


async def test_runs_of_a_deleted_job_are_kept(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await stored.job(context, namespace, **NONE)
    await record(context, await stored.entry(context, job, phase="Failed", copies={}))
    context.catalog.drop(BACKUP_JOB, job)

    await limit_all(context)

    assert await names(kube, namespace) == {"nightly-1"}


async def test_a_run_whose_upload_is_being_tried_again_is_kept(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, **NONE)
    await record(context, await stored.entry(context, job, phase="Failed", copies={}))
    spec = {"backupJobRef": {"name": "nightly"}, "trigger": "Retry", "retryOf": "nightly-1"}
    retry = await stored.make(kube, BACKUP_EXECUTION, namespace, "again", spec, {"phase": "Running"})
    context.catalog.put(BACKUP_EXECUTION, BackupExecution.read(retry))

    await limit_all(context)

    assert await names(kube, namespace) == {"nightly-1", "again"}


@pytest.mark.parametrize(("recorded", "left"), [(False, {"nightly-1"}), (True, set[str]())])
async def test_a_run_is_deleted_only_when_its_log_is_in_history(
    context: Context, kube: Kubernetes, namespace: str, recorded: bool, left: set[str]
) -> None:
    job = await stored.job(context, namespace, **NONE)
    await record(context, await stored.entry(context, job, phase="Failed", copies={}))
    pod = {"restartPolicy": "Never", "containers": [{"name": "runner", "image": "unused"}]}
    spec: JSON = {"template": {"spec": pod}, **({"ttlSecondsAfterFinished": 3600} if recorded else {})}
    body: JSON = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "backup-nightly-1"}, "spec": spec}
    await kube.create(jobs_path(namespace), body)

    await limit_all(context)

    assert await names(kube, namespace) == left


async def test_a_run_that_history_has_no_row_of_is_kept(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await stored.job(context, namespace, **NONE)
    await stored.entry(context, job, phase="Failed", copies={})  # its operator was killed before it wrote the row

    await limit_all(context)

    assert await names(kube, namespace) == {"nightly-1"}


async def test_nothing_is_deleted_while_history_is_away(context: Context, kube: Kubernetes, place: Place) -> None:
    context.history = place.history
    job = await stored.job(context, place.namespace, **NONE)
    await record(context, await stored.entry(context, job, phase="Failed", copies={}))
    place.server.stop()

    with pytest.raises(HistoryUnavailable):
        await limit_all(context)

    assert await names(kube, place.namespace) == {"nightly-1"}


async def drilled(context: Context, owner: RestoreDrill, *ended: RestoreRequest) -> None:
    """The runs have ended, and the status of their drill tells of them."""
    for run in ended:
        context.catalog.put(restore.KIND, run)
    await judge(context, Scheduler(context), drill.KIND, owner)


async def requests(kube: Kubernetes, namespace: str) -> list[str]:
    found, _ = await kube.list(objects_path(restore.KIND, namespace))
    return sorted(run["metadata"]["name"] for run in found)


async def test_the_oldest_drills_are_deleted_beyond_each_limit_and_no_other_restore(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace, successfulHistoryLimit=1, failedHistoryLimit=2)
    phases = ["Failed", "Completed", "Cancelled", "Completed", "Failed"]
    ended = [
        await request(context, namespace, f"run-{hours}", phase, hours_ago=hours) for hours, phase in enumerate(phases)
    ]
    spec = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR"}
    status = {"phase": "Failed", "completionTime": "2026-01-01T00:00:00Z"}
    other = await stored.make(kube, restore.KIND, namespace, "bring-back", spec, status)
    context.catalog.put(restore.KIND, RestoreRequest.read(other))
    await drilled(context, owner, *ended)
    await record(context, *ended)

    for _ in range(2):
        await limit_all(context)

    assert await requests(kube, namespace) == ["bring-back", "run-0", "run-1", "run-2"]
    assert len(context.catalog.ended_runs[restore.KIND.plural].of_owner(namespace, "weekly")) == 3


async def test_neither_the_drill_that_a_status_names_nor_one_without_a_row_is_deleted(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_drill(context, namespace, failedHistoryLimit=0)
    latest, unrecorded, recorded = [
        await request(context, namespace, name, "Failed", hours_ago=hours)
        for hours, name in enumerate(["latest", "unrecorded", "recorded"])
    ]
    await drilled(context, owner, latest, unrecorded, recorded)
    await record(context, latest, recorded)

    await limit_all(context)

    assert await requests(kube, namespace) == ["latest", "unrecorded"]


async def test_the_oldest_syncs_are_deleted_beyond_each_limit_unless_their_previous_database_is_left(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_job(context, namespace, successfulHistoryLimit=0, failedHistoryLimit=0)
    over = {"name": "dg_previous_orders_1", "dropTime": "2026-01-01T00:00:00Z"}
    gone = {**over, "droppedTime": "2026-01-01T00:01:00Z"}
    latest, failed, left, dropped = [
        await make_run(context, namespace, "latest", "Completed"),
        await make_run(context, namespace, "failed", "Failed", hours_ago=1),
        await make_run(context, namespace, "left", "Completed", hours_ago=2, previousDatabase=over),
        await make_run(context, namespace, "dropped", "Completed", hours_ago=3, previousDatabase=gone),
    ]
    for run in (latest, failed, left, dropped):
        context.catalog.put(DATABASE_SYNC_EXECUTION, run)
    await judge(context, Scheduler(context), DATABASE_SYNC_JOB, owner)
    await record(context, latest, failed, left, dropped)

    await limit_all(context)

    found, _ = await kube.list(objects_path(DATABASE_SYNC_EXECUTION, namespace))
    assert {run["metadata"]["name"] for run in found} == {"latest", "left"}


async def test_a_sync_that_has_left_a_database_is_kept_also_when_that_is_not_known_in_memory(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    owner = await make_job(context, namespace, successfulHistoryLimit=0)
    over = {"name": "dg_previous_orders_1", "dropTime": "2026-01-01T00:00:00Z"}
    left = await make_run(context, namespace, "left", "Completed", hours_ago=2, previousDatabase=over)
    runs = (await make_run(context, namespace, "latest", "Completed"), left)
    for run in runs:
        context.catalog.put(DATABASE_SYNC_EXECUTION, run)
    context.catalog.previous.forget(left.metadata.uid)
    await judge(context, Scheduler(context), DATABASE_SYNC_JOB, owner)
    await record(context, *runs)

    await limit_all(context)

    found, _ = await kube.list(objects_path(DATABASE_SYNC_EXECUTION, namespace))
    assert {run["metadata"]["name"] for run in found} == {"latest", "left"}
