"""What stands in a BackupJob's way is kept true, against a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.handlers import backup_jobs, checked, scheduled
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import datasource, drill, storage_location
from dataguardian.resources.backup import BACKUP_JOB, BackupJob
from dataguardian.resources.common import API_VERSION, Kind
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.sync import DATABASE_SYNC_JOB
from dataguardian.workers.context import Context
from dataguardian.workers.judging import judge, judge_all
from dataguardian.workers.scheduler import Scheduler

from .ended import a_moment_ago, set_status

SPECS: dict[str, JSON] = {
    datasource.KIND.plural: {
        "engine": "postgresql",
        "host": "orders-db.shop.svc",
        "database": "orders",
        "credentialsSecretRef": {"name": "orders"},
    },
    storage_location.KIND.plural: {"s3": {"bucket": "backups", "credentialsSecretRef": {"name": "s3"}}},
    BACKUP_JOB.plural: {
        "datasourceRef": {"name": "orders"},
        "storage": {"locations": [{"name": "primary"}]},
        "schedule": "0 2 * * *",
    },
    DATABASE_SYNC_JOB.plural: {
        "sourceRef": {"name": "orders"},
        "targetRef": {"name": "staging"},
        "storageLocationRef": {"name": "primary"},
    },
    drill.KIND.plural: {"backupJobRef": {"name": "nightly"}, "targetDatasourceRef": {"name": "orders"}},
}
HANDLERS: dict[str, Any] = {
    BACKUP_JOB.plural: backup_jobs,
    drill.KIND.plural: scheduled,
    DATABASE_SYNC_JOB.plural: scheduled,
}


class Seen:
    """A namespace as the handlers see it."""

    def __init__(self, context: Context, namespace: str) -> None:
        self.context, self.namespace, self.scheduler = context, namespace, Scheduler(context)
        self.kube: Kubernetes = context.kube

    async def create(self, kind: Kind[Any], name: str, **spec: Any) -> JSON:
        whole = {**SPECS[kind.plural], **spec}
        body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": whole}
        made = await self.kube.create(objects_path(kind, self.namespace), body)
        await self.see(kind, made)
        return made

    async def see(self, kind: Kind[Any], body: JSON) -> None:
        handler = HANDLERS.get(kind.plural, checked)
        await handler.seen(self.context, self.scheduler, kind, kind.model.read(body))
        await judge_all(self.context, self.scheduler)

    async def check(self, source: JSON, *, good: bool) -> None:
        """A check of the Datasource ends."""
        ready = {
            "type": "Ready",
            "status": "True" if good else "False",
            "reason": "Checked",
            "message": "No login.",
            "lastTransitionTime": a_moment_ago(),
        }
        await self.see(datasource.KIND, await set_status(self.kube, datasource.KIND, source, {"conditions": [ready]}))

    async def job(self) -> JSON:
        return await self.kube.get(objects_path(BACKUP_JOB, self.namespace, "nightly"))

    async def obstacle(self, kind: Kind[Any] = BACKUP_JOB, name: str = "nightly") -> str:
        conditions = (await self.kube.get(objects_path(kind, self.namespace, name)))["status"]["conditions"]
        return next(str(condition["reason"]) for condition in conditions if condition["type"] == "Stalled")


@pytest.fixture
def seen(context: Context, namespace: str) -> Seen:
    return Seen(context, namespace)


async def test_a_job_tells_of_a_datasource_that_fails_is_back_and_is_deleted(seen: Seen) -> None:
    await seen.create(storage_location.KIND, "primary")
    source = await seen.create(datasource.KIND, "orders")
    await seen.create(BACKUP_JOB, "nightly")
    told = [await seen.obstacle()]

    for good in (False, True):
        await seen.check(source, good=good)
        told.append(await seen.obstacle())
    await seen.kube.delete(objects_path(datasource.KIND, seen.namespace, "orders"))
    await checked.gone(seen.context, seen.scheduler, datasource.KIND, Datasource.read(source))
    await judge_all(seen.context, seen.scheduler)
    told.append(await seen.obstacle())

    assert told == ["AsExpected", "DatasourceNotReady", "AsExpected", "DatasourceNotFound"]


async def test_a_check_that_finds_what_the_one_before_it_found_leaves_the_jobs_alone(seen: Seen) -> None:
    await seen.create(storage_location.KIND, "primary")
    source = await seen.create(datasource.KIND, "orders")
    job = await seen.create(BACKUP_JOB, "nightly")
    await seen.check(source, good=True)
    emptied = await set_status(seen.kube, BACKUP_JOB, job, {"nextScheduleTime": None})  # judging would fill it in
    seen.context.catalog.put(BACKUP_JOB, BackupJob.read(emptied))

    await seen.check(source, good=True)
    assert "nextScheduleTime" not in (await seen.job())["status"]

    await seen.check(source, good=False)
    assert "nextScheduleTime" in (await seen.job())["status"]


async def test_the_status_claims_no_spec_that_was_not_judged(seen: Seen) -> None:
    old = await seen.create(BACKUP_JOB, "nightly")
    edit = {"spec": {"schedule": "30 3 * * *"}}
    edited = await seen.kube.patch(objects_path(BACKUP_JOB, seen.namespace, "nightly"), edit)
    await seen.create(datasource.KIND, "orders")  # another obstacle now

    await judge(seen.context, seen.scheduler, BACKUP_JOB, BackupJob.read(old))
    assert (await seen.job())["status"]["observedGeneration"] == old["metadata"]["generation"]

    await seen.see(BACKUP_JOB, edited)
    now = await seen.job()
    assert now["status"]["observedGeneration"] == edited["metadata"]["generation"]
    assert "T03:30:00Z" in now["status"]["nextScheduleTime"]


async def test_a_drill_tells_of_a_job_and_a_datasource_that_are_missing_are_made_and_are_deleted(seen: Seen) -> None:
    await seen.create(drill.KIND, "weekly")
    told = [await seen.obstacle(drill.KIND, "weekly")]

    job = await seen.create(BACKUP_JOB, "nightly")
    told.append(await seen.obstacle(drill.KIND, "weekly"))
    await seen.create(datasource.KIND, "orders")
    told.append(await seen.obstacle(drill.KIND, "weekly"))
    await seen.kube.delete(objects_path(BACKUP_JOB, seen.namespace, "nightly"))
    await backup_jobs.gone(seen.context, seen.scheduler, BACKUP_JOB, BackupJob.read(job))
    await judge_all(seen.context, seen.scheduler)
    told.append(await seen.obstacle(drill.KIND, "weekly"))

    assert told == ["BackupJobNotFound", "DatasourceNotFound", "AsExpected", "BackupJobNotFound"]


async def test_a_sync_that_is_kept_as_a_backup_tells_whether_any_backup_job_fits(seen: Seen) -> None:
    for kind, name, spec in (
        (storage_location.KIND, "primary", {}),
        (datasource.KIND, "orders", {}),
        (datasource.KIND, "staging", {"host": "staging-db.shop.svc"}),
        (DATABASE_SYNC_JOB, "refresh", {}),
    ):
        await seen.create(kind, name, **spec)
    told = [await seen.obstacle(DATABASE_SYNC_JOB, "refresh")]

    path = objects_path(BACKUP_JOB, seen.namespace, "nightly")
    job = await seen.create(BACKUP_JOB, "nightly")
    told.append(await seen.obstacle(DATABASE_SYNC_JOB, "refresh"))
    for part in ({"schemas": ["sales"]}, None):
        await seen.see(BACKUP_JOB, await seen.kube.patch(path, {"spec": {"options": part}}))
        told.append(await seen.obstacle(DATABASE_SYNC_JOB, "refresh"))
    await seen.kube.delete(path)
    await backup_jobs.gone(seen.context, seen.scheduler, BACKUP_JOB, BackupJob.read(job))
    await judge_all(seen.context, seen.scheduler)
    told.append(await seen.obstacle(DATABASE_SYNC_JOB, "refresh"))

    assert told == ["NotFound", "AsExpected", "NotFound", "AsExpected", "NotFound"]


async def test_a_drills_ready_waits_for_its_first_run(seen: Seen) -> None:
    await seen.create(drill.KIND, "weekly")

    conditions = (await seen.kube.get(objects_path(drill.KIND, seen.namespace, "weekly")))["status"]["conditions"]
    shown = {condition["type"]: (condition["status"], condition["reason"]) for condition in conditions}
    assert shown == {"Ready": ("Unknown", "NoRunYet"), "Stalled": ("True", "BackupJobNotFound")}
