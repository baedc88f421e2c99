"""The backup of a restore's target stays until the restore is confirmed, against a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.domain import plan as plans
from dataguardian.domain.plan import CleanupPlan
from dataguardian.handlers.triggers import GONE, SEEN
from dataguardian.kube.client import JSON, jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import restore, storage_location
from dataguardian.resources.backup import BackupExecution, BackupJob
from dataguardian.resources.restore import RESTORE_PHRASE
from dataguardian.workers import dispatcher
from dataguardian.workers.cleanup import Cleanup
from dataguardian.workers.context import Context

from . import stored
from .cleanups import JUDGED, RULES, cleanups, ended, read
from .conftest import NewContext

SPEC: JSON = {
    "backupExecutionRef": {"name": "nightly-1"},
    "confirmationPhrase": RESTORE_PHRASE,
    "safetyBackup": True,
}
DONE: JSON = {"phase": "Completed", "queuedTime": "2026-11-24T02:00:00Z", "completionTime": "2026-11-24T03:00:00Z"}


async def seen(context: Context, body: JSON, *, gone: bool = False) -> None:
    """The handler is told of the request."""
    scheduler: Any = None  # a request has no schedule
    table = GONE if gone else SEEN
    await table[restore.KIND.plural](context, scheduler, restore.KIND, restore.KIND.model.read(body))


async def restored(context: Context, namespace: str) -> tuple[BackupJob, BackupExecution, JSON]:
    """A restore that is completed, the backup of its target, and a newer one which takes the only place."""
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    request = await stored.make(context.kube, restore.KIND, namespace, "back", SPEC, DONE)
    safety = await stored.entry(context, job, 2, name=f"safety-{request['metadata']['uid']}")
    await stored.entry(context, job, 1)
    await seen(context, request)
    return job, safety, request


async def test_a_safety_backup_is_kept_and_says_for_which_restore(context: Context, namespace: str) -> None:
    _, safety, _ = await restored(context, namespace)

    assert await cleanups(context, namespace) == []
    assert (await stored.read(context.kube, safety)).status.kept_by == ["safetyBackup back"]


@pytest.mark.parametrize("release", ["confirmed", "deleted"])
async def test_once_the_restore_is_confirmed_or_deleted_the_rules_alone_decide(
    context: Context, namespace: str, release: str
) -> None:
    _, _, request = await restored(context, namespace)
    worker = Cleanup(context)
    await context.catalog.entries.refresh()
    for _ in range(2):  # the second look finds no news
        await worker.step()
    assert (await context.kube.list(jobs_path(namespace)))[0] == []
    path = objects_path(restore.KIND, namespace, "back")

    if release == "confirmed":
        await seen(context, await context.kube.patch(path, {"spec": {"confirmed": True}}))
        await seen(context, request)  # an older version, told late
    else:
        await context.kube.delete(path)
        await seen(context, request, gone=True)

    await worker.step()
    ((cleanup,), _) = await context.kube.list(jobs_path(namespace))
    assert plans.decode(planned(cleanup), CleanupPlan).held == {}


async def test_a_cleanup_is_told_what_is_held_and_a_release_meanwhile_is_not_missed(
    context: Context, namespace: str
) -> None:
    job, safety, request = await restored(context, namespace)
    await stored.entry(context, job, 3)

    (cleanup,) = await cleanups(context, namespace)

    held = plans.decode(planned(cleanup), CleanupPlan).held
    assert held[safety.metadata.uid] == "safetyBackup back"
    assert sorted(held.values()) == ["restore back", "safetyBackup back"]
    await context.kube.delete(objects_path(restore.KIND, namespace, "back"))
    await seen(context, request, gone=True)
    context.side_jobs.clear()
    await context.kube.delete(jobs_path(namespace, cleanup["metadata"]["name"]))
    await ended(context, job, JUDGED, stored.kept(safety, "safetyBackup back"), held=safety.metadata.uid)
    (again,) = await cleanups(context, namespace)
    assert plans.decode(planned(again), CleanupPlan).held == {}


async def test_what_a_restore_reads_is_not_pushed_out_by_the_backup_of_its_target(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    oldest = await stored.entry(context, job, 3, name="nightly-1")
    request = await stored.make(context.kube, restore.KIND, namespace, "back", SPEC, {"phase": "Queued"})
    await stored.entry(context, job, 1, name=f"safety-{request['metadata']['uid']}")
    await seen(context, request)

    assert await cleanups(context, namespace) == []
    assert (await stored.read(context.kube, oldest)).status.kept_by == ["restore back"]


async def test_once_a_restore_has_ended_the_rules_alone_decide_on_what_it_read(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    await stored.entry(context, job, 3, name="nightly-1")
    await stored.entry(context, job, 1, name="nightly-2")
    plain = {**SPEC, "safetyBackup": False}
    request = await stored.make(context.kube, restore.KIND, namespace, "back", plain, {"phase": "Running"})
    await seen(context, request)
    assert await cleanups(context, namespace) == []

    path = objects_path(restore.KIND, namespace, "back") + "/status"
    await seen(context, await context.kube.patch(path, {"status": DONE}))
    await seen(context, request)  # an older version, told late

    (cleanup,) = await cleanups(context, namespace)
    assert plans.decode(planned(cleanup), CleanupPlan).held == {}


async def test_an_operator_that_has_just_started_knows_what_is_held(new_context: NewContext, namespace: str) -> None:
    job, safety, _ = await restored(new_context(), namespace)
    second = new_context()
    await second.catalog.load(storage_location.KIND)
    await read(second, job)

    await dispatcher.take_over(second)

    assert await cleanups(second, namespace) == []
    assert (await stored.read(second.kube, safety)).status.kept_by == ["safetyBackup back"]
