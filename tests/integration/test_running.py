"""Runs that would not end by themselves: each ends in bounded time, with a reason of its own.

Against a real API server; the test plays the kubelet and the controllers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dataguardian.domain import pods
from dataguardian.kube.client import JSON, Absent, jobs_path, pods_path
from dataguardian.workers import running

from .clients import until
from .conftest import NewContext
from .kubelet import Kubelet
from .workers import operator
from .world import COMPLETED, STARTED, World, container

QUOTA = 'Error creating: pods "backup-first-x" is forbidden: exceeded quota: none, requested: pods=1'
SECURITY = 'Error creating: pods "backup-first-x" is forbidden: violates PodSecurity "restricted:latest": hostPath'
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient memory.",
    "lastTransitionTime": STARTED,
}


async def started(world: World, **job: Any) -> JSON:
    """A Running run without a pod; its Kubernetes Job."""
    await world.stock("orders", **job)
    await world.backup("first")
    await world.until_phase("first", "Running")
    return await world.kube.get(jobs_path(world.namespace, "backup-first"))


async def assert_failed(world: World, code: str, says: str = "") -> None:
    error = (await world.until_phase("first", "Failed"))["error"]
    assert error["code"] == code
    assert says in error["message"]
    assert error["remedy"]

    async def gone() -> bool:
        try:
            job = await world.kube.get(jobs_path(world.namespace, "backup-first"))
        except Absent:
            return True
        return "deletionTimestamp" in job["metadata"]

    await until(gone, what="no Kubernetes Job is left that could start later")


async def test_a_quota_is_told_and_ends_the_run_when_it_stays(world: World, new_context: NewContext) -> None:
    async with operator(new_context()):
        job = await started(world)
        await world.warn(job, "FailedCreate", QUOTA)
        await world.until_reason("first", "PodWaiting", "exceeded quota")

    async with operator(new_context(start_deadline_seconds=1)):
        await assert_failed(world, "quota-exceeded", "pods=1")


async def test_a_pod_that_pod_security_forbids_ends_its_run_long_before_the_deadline(
    world: World, new_context: NewContext
) -> None:
    async with operator(new_context(start_deadline_seconds=600)):
        job = await started(world)
        await world.warn(job, "FailedCreate", SECURITY)

        await assert_failed(world, "pod-security-refused", "hostPath")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param({"conditions": [UNSCHEDULED], "containerStatuses": []}, "unschedulable", id="unschedulable"),
        pytest.param(
            {"containerStatuses": [container(waiting={"reason": "ImagePullBackOff", "message": "no such image"})]},
            "image-pull-failed",
            id="image",
        ),
    ],
)
async def test_a_pod_that_waits_is_told_and_ends_its_run_when_it_goes_on_waiting(
    world: World, new_context: NewContext, status: JSON, code: str
) -> None:
    async with operator(new_context()):
        await started(world)
        await world.start_pod("first", phase="Pending", **status)
        await world.until_reason("first", "PodWaiting")

    async with operator(new_context(start_deadline_seconds=1)):
        await assert_failed(world, code)


async def test_a_volume_that_does_not_mount_is_found_in_the_events_of_the_pod(
    world: World, new_context: NewContext
) -> None:
    async with operator(new_context(start_deadline_seconds=1)):
        await started(world)
        waits = [container(waiting={"reason": "ContainerCreating"})]
        pod = await world.start_pod("first", phase="Pending", containerStatuses=waits)
        about = await world.kube.get(pods_path(world.namespace, pod))
        await world.warn(about, "FailedMount", 'MountVolume.SetUp failed for volume "volume-0": timed out')

        await assert_failed(world, "volume-unavailable", "timed out")


async def test_a_pod_that_works_is_not_held_up_by_the_deadline_for_its_start(
    world: World, new_context: NewContext
) -> None:
    async with operator(new_context(start_deadline_seconds=1)):
        await started(world)
        pod = await world.start_pod("first")
        await world.backup("second")
        await world.until_reason("second", "LimitReached")

        await world.complete("first", pod=pod)

        await world.until_phase("first", "Completed")


async def test_a_pod_that_stays_after_its_deletion_has_lost_its_node(
    world: World, new_context: NewContext, node: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "SILENCE", timedelta(0))
    async with operator(new_context()):
        await started(world)
        pod = await world.start_pod("first")
        await world.kube._call("DELETE", pods_path(world.namespace, pod), body={"gracePeriodSeconds": 1})
        await world.find_nothing("first", node)

        await assert_failed(world, "node-lost", "node-1")


async def test_a_kubernetes_job_that_does_not_end_at_its_deadline_does_not_keep_its_run(
    world: World, new_context: NewContext, node: Kubelet
) -> None:
    async with operator(new_context()):
        await started(world, activeDeadlineSeconds=60)
        await world.start_pod("first")
        await world.job_status("first", {"startTime": STARTED, "active": 1})
        await world.find_nothing("first", node)

        await assert_failed(world, "deadline-exceeded")


@pytest.mark.parametrize("ends", ["Completed", "Failed"])
async def test_of_a_run_whose_kubernetes_job_was_deleted_the_last_word_of_its_pod_counts(
    world: World, new_context: NewContext, node: Kubelet, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new_context()
    async with operator(context):
        job = await started(world)
        pod = await world.start_pod("first")
        uid = job["metadata"]["labels"]["dataguardian.io/owner-uid"]
        await world.end_pod(pod, COMPLETED if ends == "Completed" else None, 0 if ends == "Completed" else 137)

        async def seen() -> bool:
            return bool(pods.terminated(context.pods.get(uid, {})))

        await until(seen, what="the end of the pod is seen")
        monkeypatch.setattr(running, "LOST_AFTER", timedelta(0))
        await world.remove_pod(pod)
        await world.kube.delete(jobs_path(world.namespace, "backup-first"))

        if ends == "Failed":
            await world.find_nothing("first", node)
        status = await world.until_phase("first", ends)
    assert status.get("storedBytes") == (500 if ends == "Completed" else None)
    assert status.get("error", {}).get("code") == (None if ends == "Completed" else "runner-lost")
