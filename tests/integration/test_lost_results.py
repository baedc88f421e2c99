"""A result that was lost with its pod is found again in the store; against a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.report import Report
from dataguardian.domain.told import ManifestFound
from dataguardian.errors import OutOfMemory, StorageUnavailable
from dataguardian.kube.client import JSON, Absent, Kubernetes, jobs_path
from dataguardian.kube.jobs import DEFAULT_RESOURCES, planned
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.resources.common import timestamp
from dataguardian.workers import lost_results, recorder, side_jobs, sweep
from dataguardian.workers.context import Context

from . import side_pods, stored
from .kubelet import Kubelet

NOTHING = Report(completed=True, backups=0, stored_bytes=0)


async def lost_run(context: Context, namespace: str, template: JSON | None = None, **spec: object) -> BackupExecution:
    """A Running backup of two locations whose Kubernetes Job is gone."""
    for name in ("primary", "offsite"):
        await stored.location(context, namespace, name)
    storage = {"locations": [{"name": "primary"}, {"name": "offsite"}]}
    await stored.job(context, namespace, storage={**storage, **spec}, runTemplate=template or {})
    began = timestamp(datetime.now(UTC) - timedelta(minutes=3))
    status = {"phase": "Running", "queuedTime": began, "startTime": began, "datasource": "orders"}
    body = await stored.make(
        context.kube, BACKUP_EXECUTION, namespace, "nightly-1", {"backupJobRef": {"name": "nightly"}}, status
    )
    run = BackupExecution.read(body)
    context.catalog.put(BACKUP_EXECUTION, run)
    return run


async def search(context: Context, namespace: str) -> JSON:
    """The Kubernetes Job that looks for the manifest, after a sweep."""
    await sweep.sweep(context)
    return await context.kube.get(jobs_path(namespace, "find-nightly-1"))


async def answer(context: Context, node: Kubelet, job: JSON, report: Report, *found: ManifestFound) -> None:
    """The store answers, and the next sweep comes."""
    side_jobs.observe(context, "MODIFIED", await side_pods.end(context.kube, node, job, report, found))
    await lost_results.settle_all(context)
    await sweep.sweep(context)


def manifest(run: BackupExecution, location: str) -> ManifestFound:
    return stored.found(run.metadata.namespace, location, execution_id=run.metadata.uid)


async def test_a_backup_whose_manifest_is_in_the_store_is_completed(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace)
    job = await search(context, namespace)
    assert (await stored.read(kube, run)).status.phase == "Running"

    await answer(context, node, job, Report(completed=True, backups=1), manifest(run, "primary"))

    after = await stored.read(kube, run)
    assert (after.status.phase, after.status.stored_bytes, after.status.checksum) == (
        "Completed",
        1024,
        stored.CHECKSUM,
    )
    assert stored.states(after) == {"primary": "Stored", "offsite": "Failed"}
    assert json.loads(planned(job))["folder"].endswith(run.metadata.uid[:8])
    assert context.searches == {}
    with pytest.raises(Absent):
        await kube.get(jobs_path(namespace, "find-nightly-1"))


async def test_who_looks_for_a_lost_result_has_more_memory_than_the_run_that_had_too_little(
    context: Context, namespace: str
) -> None:
    tiny = {"resources": {"limits": {"memory": "16Mi"}}, "nodeSelector": {"disk": "fast"}}
    await lost_run(context, namespace, template=tiny)

    job = await search(context, namespace)

    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == DEFAULT_RESOURCES
    assert pod["nodeSelector"] == {"disk": "fast"}


async def test_a_backup_that_is_not_in_the_store_is_lost(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace)

    await answer(context, node, await search(context, namespace), NOTHING)

    after = await stored.read(kube, run)
    assert after.status.error is not None
    assert (after.status.phase, after.status.error.code) == ("Failed", "runner-lost")


async def test_one_manifest_is_a_backup_whatever_copies_the_run_needed(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace, minCopies=2)

    report = Report(completed=True, backups=1)
    await answer(context, node, await search(context, namespace), report, manifest(run, "primary"))

    after = await stored.read(kube, run)
    assert after.status.phase == "Completed"
    assert stored.states(after) == {"primary": "Stored", "offsite": "Failed"}


async def test_another_backups_manifest_is_not_taken_for_it(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace)

    report = Report(completed=True, backups=1)
    await answer(context, node, await search(context, namespace), report, stored.found(namespace))

    assert (await stored.read(kube, run)).status.phase == "Failed"


async def test_while_the_store_does_not_answer_the_run_waits_for_a_bounded_time(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace)
    away = reports.failed(StorageUnavailable("The store is away.", remedy="Look."), "index")

    await answer(context, node, await search(context, namespace), away)
    assert (await stored.read(kube, run)).status.phase == "Running"
    context.searches[run.metadata.uid].since -= lost_results.DEADLINE
    await sweep.sweep(context)

    after = await stored.read(kube, run)
    assert after.status.error is not None
    assert (after.status.phase, after.status.error.code) == ("Failed", "runner-lost")
    assert "The store is away." in after.status.error.message


async def test_a_kubernetes_job_that_ended_without_its_pod_is_looked_for_too(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    run = await lost_run(context, namespace)
    labels = {
        "app.kubernetes.io/managed-by": "dataguardian",
        "dataguardian.io/operation": "backup",
        "dataguardian.io/owner-uid": run.metadata.uid,
    }
    pod = {"restartPolicy": "Never", "containers": [{"name": "runner", "image": "unused"}]}
    meta: JSON = {
        "name": "backup-nightly-1",
        "labels": labels,
        "annotations": {"dataguardian.io/owner-name": "nightly-1"},
    }
    body: JSON = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": pod}}}
    ended = await side_pods.finish(kube, await kube.create(jobs_path(namespace), body), succeeded=False)
    recorder.observe(context, ended)

    await recorder.record_all(context)
    assert (await stored.read(kube, run)).status.phase == "Running"
    job = await kube.get(jobs_path(namespace, "find-nightly-1"))
    side_jobs.observe(context, "MODIFIED", await side_pods.end(kube, node, job, NOTHING))
    await lost_results.settle_all(context)
    await recorder.record_all(context)

    assert (await stored.read(kube, run)).status.phase == "Failed"
    assert context.unrecorded == {}


@pytest.mark.parametrize("answers", [True, False])
async def test_what_killed_a_runner_is_told_when_its_backup_is_not_found(
    context: Context, namespace: str, answers: bool
) -> None:
    run = await lost_run(context, namespace)
    killed = reports.failed(OutOfMemory("Too big.", remedy="Raise the memory limit."), "finalize")
    assert await recorder.found_again(context, run, killed) is None
    if answers:
        context.searches[run.metadata.uid].answer = []
    else:
        context.searches[run.metadata.uid].since -= lost_results.DEADLINE

    found = await recorder.found_again(context, run, killed)

    assert found is not None
    assert found.failure is not None
    assert (found.failure.code, found.failure.step) == ("out-of-memory", "finalize")
    assert "Raise the memory limit." in found.failure.remedy
