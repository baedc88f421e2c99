"""Kubernetes Jobs for objects that exist: each ends once, also one that cannot start. Against a real API server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dataguardian.domain.naming import MANAGED_BY, OPERATION, OWNER_UID, PROGRAM
from dataguardian.kube.client import JSON, jobs_path, objects_path
from dataguardian.resources import storage_location
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.workers import side_jobs
from dataguardian.workers.context import Context
from dataguardian.workers.health import CHECK, check_all
from dataguardian.workers.side_jobs import Ended

from . import side_pods, stored

UNSCHEDULABLE: JSON = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "No node has room."}
    ],
}


async def check(context: Context, namespace: str) -> JSON:
    """The Kubernetes Job of a location's check."""
    await stored.location(context, namespace)
    await check_all(context)
    ((job,), _) = await context.kube.list(jobs_path(namespace))
    return job


async def status(context: Context, namespace: str) -> storage_location.StorageLocationStatus:
    body = await context.kube.get(objects_path(storage_location.KIND, namespace, "primary"))
    return StorageLocation.read(body).status


async def test_a_check_whose_pod_cannot_start_is_told_and_removed(
    context: Context, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await check(context, namespace)
    pod = await side_pods.set_pod_status(context.kube, await side_pods.create_pod(context.kube, job), UNSCHEDULABLE)
    context.side_pods[job["metadata"]["uid"]] = pod

    await side_jobs.settle(context, CHECK)
    assert (await status(context, namespace)).last_checked_time is None  # it has time to start
    monkeypatch.setattr(side_jobs, "START_DEADLINE", timedelta(0))
    await side_jobs.settle(context, CHECK)

    after = await status(context, namespace)
    assert after.phase == "Unreachable"
    assert "No node has room" in after.conditions[0].message
    assert (await context.kube.list(jobs_path(namespace)))[0] == []
    assert context.side_jobs == {}


async def test_a_check_that_gets_no_pod_is_told_and_removed(
    context: Context, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(context, namespace)
    monkeypatch.setattr(side_jobs, "POD_DEADLINE", timedelta(0))

    await side_jobs.settle(context, CHECK)

    assert "has no pod" in (await status(context, namespace)).conditions[0].message


async def test_a_late_word_of_the_watch_is_no_second_end(context: Context, namespace: str) -> None:
    job = await check(context, namespace)
    ends: list[Ended] = []

    async def note(context: Context, end: Ended) -> None:
        ends.append(end)

    side = replace(CHECK, ended=note)
    finished = await side_pods.finish(context.kube, job, succeeded=False)
    for _ in range(2):
        side_jobs.observe(context, "MODIFIED", finished)
        await side_jobs.settle(context, side)

    assert len(ends) == 1
    assert context.side_jobs == {}


async def test_an_end_that_cannot_be_acted_on_is_acted_on_again(context: Context, namespace: str) -> None:
    job = await check(context, namespace)
    side_jobs.observe(context, "MODIFIED", await side_pods.finish(context.kube, job, succeeded=False))

    async def fail(context: Context, end: Ended) -> None:
        raise RuntimeError("the end could not be written")

    await side_jobs.settle(context, replace(CHECK, ended=fail))
    assert (await status(context, namespace)).last_checked_time is None
    await side_jobs.settle(context, CHECK)

    assert (await status(context, namespace)).last_checked_time is not None


async def test_a_strangers_kubernetes_job_under_the_name_is_told(context: Context, namespace: str) -> None:
    location = await stored.location(context, namespace)
    name = f"check-dgsl-{location.metadata.uid}"
    pod = {"restartPolicy": "Never", "containers": [{"name": "runner", "image": "unused"}]}
    body: JSON = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod}},
    }
    await context.kube.create(jobs_path(namespace), body)

    await check_all(context)

    assert "was not made for" in (await status(context, namespace)).conditions[0].message


async def test_a_strangers_kubernetes_job_with_our_labels_is_none_of_ours(context: Context, namespace: str) -> None:
    labels = {MANAGED_BY: PROGRAM, OPERATION: "probe", OWNER_UID: "uid-1"}
    stranger: JSON = {"metadata": {"name": "stranger", "namespace": namespace, "uid": "uid-2", "labels": labels}}

    side_jobs.observe(context, "ADDED", stranger)
    await side_jobs.settle(context, CHECK)

    assert context.side_jobs == {}
