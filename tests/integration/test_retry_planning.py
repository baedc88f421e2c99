"""What a retry may try again, judged from the objects of a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.domain.plan import BackupPlan
from dataguardian.errors import DataGuardianError, NotFound, SpecInvalid
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import backup, datasource, storage_location
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.resources.common import Kind
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.operations import prepare_backup
from dataguardian.workers.prepared import NotYet

from . import stored


async def create(kube: Kubernetes, kind: Kind[Any], namespace: str, name: str, **spec: object) -> JSON:
    return await stored.make(kube, kind, namespace, name, spec)


async def execution(
    kube: Kubernetes, namespace: str, name: str, *, phase: str | None = None, job: str = "nightly", **spec: object
) -> BackupExecution:
    made = await create(kube, BACKUP_EXECUTION, namespace, name, backupJobRef={"name": job}, **spec)
    if phase:
        path = objects_path(BACKUP_EXECUTION, namespace, name) + "/status"
        made = await kube.patch(path, {"status": {"phase": phase}})
    return BackupExecution.read(made)


async def retry(kube: Kubernetes, namespace: str, of: str, **changes: Any) -> BackupExecution:
    return await execution(kube, namespace, f"retry-of-{of}", trigger="Retry", retryOf=of, **changes)


@pytest.fixture
async def shop(kube: Kubernetes, namespace: str) -> str:
    """A namespace with a job and all that it names."""
    secret = {"name": "secret"}
    bucket = {"bucket": "backups", "credentialsSecretRef": secret}
    await create(
        kube,
        datasource.KIND,
        namespace,
        "orders",
        engine="postgresql",
        host="orders",
        database="orders",
        credentialsSecretRef=secret,
    )
    await create(kube, storage_location.KIND, namespace, "primary", s3=bucket)
    await create(kube, storage_location.KIND, namespace, "frozen", s3={**bucket, "prefix": "f"}, accessMode="ReadOnly")
    for name, places in {"nightly": ["primary", "frozen"], "frozen": ["frozen"]}.items():
        locations = [{"name": place} for place in places]
        await create(
            kube,
            backup.BACKUP_JOB,
            namespace,
            name,
            datasourceRef={"name": "orders"},
            storage={"locations": locations},
        )
    return namespace


def folder(run: BackupExecution) -> str:
    return f"-{run.metadata.uid[:8]}"


async def test_a_retry_is_told_the_folder_of_the_failed_run_and_of_those_that_that_one_retried(
    kube: Kubernetes, shop: str
) -> None:
    first = await execution(kube, shop, "first", phase="Failed")
    second = await retry(kube, shop, "first", phase="Failed")

    prepared = await prepare_backup(Catalog(kube), await retry(kube, shop, "retry-of-first"))

    plan = prepared.run.plan
    assert isinstance(plan, BackupPlan)
    assert [path[-9:] for path in plan.retry_folders] == [folder(second), folder(first)]
    assert plan.left_out == ["frozen"]


@pytest.mark.parametrize(
    ("failed", "error", "says"),
    [
        (None, NotFound, "does not exist"),
        ({"phase": "Completed"}, SpecInvalid, "is Completed, not Failed"),
        ({"phase": "Cancelled"}, SpecInvalid, "is Cancelled, not Failed"),
        ({}, SpecInvalid, "not accepted yet"),
        ({"phase": "Failed", "job": "frozen"}, SpecInvalid, "of BackupJob 'frozen'"),
    ],
)
async def test_only_a_failed_run_of_the_same_job_is_tried_again(
    kube: Kubernetes, shop: str, failed: dict[str, str] | None, error: type[DataGuardianError], says: str
) -> None:
    if failed is not None:
        await execution(kube, shop, "first", **failed)

    with pytest.raises(error, match=says) as refused:
        await prepare_backup(Catalog(kube), await retry(kube, shop, "first"))

    assert "spec.retryOf" in refused.value.what
    assert refused.value.remedy


async def test_a_run_waits_while_read_only_locations_leave_too_few(kube: Kubernetes, shop: str) -> None:
    with pytest.raises(NotYet) as wait:
        await prepare_backup(Catalog(kube), await execution(kube, shop, "first", job="frozen"))

    assert wait.value.obstacle.reason == "StorageLocationReadOnly"


async def test_a_run_that_stages_its_dump_knows_what_other_runs_have_staged_and_need(
    kube: Kubernetes, shop: str
) -> None:
    patch = {"spec": {"staging": {"claimName": "spool"}}}
    await kube.patch(objects_path(backup.BACKUP_JOB, shop, "nightly"), patch)
    failed = await execution(kube, shop, "failed", phase="Failed")
    again, beside = await retry(kube, shop, "failed"), await execution(kube, shop, "beside", phase="Running")
    other, new = await execution(kube, shop, "other", job="frozen"), await execution(kube, shop, "new")
    catalog = Catalog(kube)
    for run in (failed, again, beside, other, new):
        catalog.put(BACKUP_EXECUTION, run)

    plan = (await prepare_backup(catalog, new)).run.plan

    assert isinstance(plan, BackupPlan)
    assert {name[-9:] for name in plan.in_use} == {folder(run) for run in (failed, again, beside)}
