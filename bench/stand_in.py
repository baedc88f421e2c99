"""What stands in for the Job controller and the kubelet: each Kubernetes Job of ours gets a pod, which ends well."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dataguardian.domain import report as reports
from dataguardian.domain.naming import CONTAINER, OPERATION
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.kube.client import JSON, Absent, Kubernetes, jobs_path, pods_path
from dataguardian.kube.jobs import SELECTOR
from dataguardian.kube.watch import follow
from dataguardian.resources.common import timestamp

IMAGE = "stand-in"
BACKUP = Report(
    completed=True,
    dump_bytes=52_428_800,
    stored_bytes=8_388_608,
    checksum=f"sha256:{'0' * 64}",
    engine_version="17.2",
    copies=[StoredCopy(location="primary", key="prod/shop/nightly/manifest.json", stored=True)],
)
PROBE = Report(completed=True, latency_ms=3, engine_version="17.2")


@dataclass
class StandIn:
    """Follows the Kubernetes Jobs; ``seconds`` is how long the pod of a backup runs."""

    kube: Kubernetes
    seconds: float
    most_at_once: int = 0  # backups, so far
    ended: int = 0
    _running: set[str] = field(default_factory=set)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _pods: itertools.count[int] = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Never returns."""
        await follow(self.kube, jobs_path(), label_selector=SELECTOR, seen=self._seen)

    async def _seen(self, change: str, job: JSON) -> None:
        uid = job["metadata"]["uid"]
        if change == "DELETED" or uid in self._tasks or job.get("status", {}).get("completionTime"):
            return
        is_backup = job["metadata"]["labels"][OPERATION] == "backup"
        if is_backup:
            self._running.add(uid)
            self.most_at_once = max(self.most_at_once, len(self._running))
        self._tasks[uid] = asyncio.create_task(self._bring_to_its_end(job, is_backup))

    async def _bring_to_its_end(self, job: JSON, is_backup: bool) -> None:
        meta = job["metadata"]
        started = timestamp(datetime.now(UTC))
        try:
            pod = await self._create_pod(job)
            await self._patch(pod, {"phase": "Running", "containerStatuses": [_container({"running": {}})]})
            await asyncio.sleep(self.seconds if is_backup else 0.1)
            message = reports.encode(BACKUP if is_backup else PROBE).decode()
            ending = {"exitCode": 0, "reason": "Completed", "message": message}
            await self._patch(pod, {"phase": "Succeeded", "containerStatuses": [_container({"terminated": ending})]})
            await self.kube.patch(jobs_path(meta["namespace"], meta["name"]) + "/status", _complete(started))
        except Absent:
            return  # deleted meanwhile
        finally:
            self._running.discard(meta["uid"])
            self.ended += is_backup

    async def _create_pod(self, job: JSON) -> JSON:
        meta, template = job["metadata"], job["spec"]["template"]
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": meta["name"]}
        name = f"pod-{next(self._pods)}-{meta['uid'][:8]}"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": meta["namespace"], "labels": labels},
            "spec": template["spec"],
        }
        return await self.kube.create(pods_path(meta["namespace"]), body)

    async def _patch(self, pod: JSON, status: JSON) -> None:
        meta = pod["metadata"]
        await self.kube.patch(pods_path(meta["namespace"], meta["name"]) + "/status", {"status": status})


def _container(state: JSON) -> JSON:
    return {
        "name": CONTAINER,
        "image": IMAGE,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }


def _complete(started: str) -> JSON:
    ended = timestamp(datetime.now(UTC))
    conditions: list[dict[str, Any]] = [
        {"type": kind, "status": "True", "lastProbeTime": ended, "lastTransitionTime": ended}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {
        "status": {
            "startTime": started,
            "completionTime": ended,
            "succeeded": 1,
            "conditions": conditions,
        }
    }
