"""Our Kubernetes Jobs and pods as they change: ends go to the recorder, logs are followed, the rest is noted."""

from __future__ import annotations

import asyncio

from ..domain.naming import OPERATION, OWNER_UID
from ..domain.outcome import finished
from ..kube.client import JSON, jobs_path, pods_path
from ..kube.jobs import SELECTOR
from ..kube.watch import follow
from . import recorder, running, side_jobs
from .context import Context
from .follower import follow_log
from .operations import RUN_KINDS


async def watch_jobs(context: Context) -> None:
    """Follow all Kubernetes Jobs of ours; never returns."""

    async def seen(change: str, job: JSON) -> None:
        if job["metadata"]["labels"][OPERATION] not in RUN_KINDS:
            side_jobs.observe(context, change, job)
        elif change == "DELETED":
            recorder.unobserve(context, job)
            _tell_stopper(context, job)
        elif finished(job):
            recorder.observe(context, job)

    await follow(context.kube, jobs_path(), label_selector=SELECTOR, seen=seen)


async def watch_pods(context: Context) -> None:
    """Follow the pods of runs, and the log of each that runs; never returns."""
    followers: dict[str, asyncio.Task[None]] = {}

    async def seen(change: str, pod: JSON) -> None:
        labels = pod["metadata"]["labels"]
        uid, owner = pod["metadata"]["uid"], labels[OWNER_UID]
        if labels[OPERATION] not in RUN_KINDS:
            side_jobs.observe_pod(context, change, pod)
            return
        if change == "DELETED" and not context.slots.find(owner):
            context.pods.pop(owner, None)
            return
        running.remember(context, owner, pod, gone=change == "DELETED")
        _tell_stopper(context, pod)
        if change == "DELETED":
            return
        if pod["status"].get("phase") == "Running" and uid not in followers:
            followers[uid] = asyncio.create_task(follow_log(context, pod))
            followers[uid].add_done_callback(lambda _: followers.pop(uid, None))

    try:
        await follow(context.kube, pods_path(), label_selector=SELECTOR, seen=seen)
    finally:
        for follower in followers.values():
            follower.cancel()


def _tell_stopper(context: Context, changed: JSON) -> None:
    """A run that is being cancelled waits for news of its Kubernetes Job and pod."""
    if news := context.stopping.get(changed["metadata"]["labels"][OWNER_UID]):
        news.set()
