"""The operator's workers against a real API server, and who else acts on one: controllers, the kubelet, a person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dataguardian.domain.naming import CONTAINER
from dataguardian.domain.report import Report
from dataguardian.kube.client import JSON, Absent, Kubernetes, jobs_path, objects_path, pods_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.common import API_VERSION, Kind
from dataguardian.resources.datasource import KIND as DATASOURCE
from dataguardian.resources.restore import KIND as RESTORE
from dataguardian.resources.storage_location import KIND as LOCATION
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION as SYNC
from dataguardian.resources.sync import DATABASE_SYNC_JOB as SYNC_JOB

from . import side_pods
from .clients import until
from .kubelet import Kubelet

COMPLETED = {
    "completed": True,
    "dump_bytes": 1000,
    "stored_bytes": 500,
    "checksum": "sha256:" + "0" * 64,
    "copies": [{"location": "primary", "key": "a/manifest.json", "stored": True}],
}
STOPPED = {
    "completed": False,
    "failure": {"code": "cancelled", "step": "dump", "message": "The run was asked to end.", "remedy": "Run again."},
}
RUNS = (BACKUP_EXECUTION, RESTORE, SYNC)
NOTHING = Report(completed=True, backups=0, stored_bytes=0)
STARTED = "2026-11-24T02:00:00Z"


@dataclass
class World:
    """One namespace of the cluster."""

    kube: Kubernetes
    namespace: str
    pods: int = field(default=0, init=False)

    # What people make.

    async def create(self, kind: Kind[Any], name: str, spec: JSON) -> JSON:
        meta = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": meta, "spec": spec}
        return await self.kube.create(objects_path(kind, self.namespace), body)

    async def stock(self, *datasources: str, limit: int = 1, **job: Any) -> None:
        """A location, and for each datasource a BackupJob of the same name."""
        s3 = {"bucket": "backups", "credentialsSecretRef": {"name": "s3"}}
        await self.create(LOCATION, "primary", {"s3": s3})
        path = objects_path(LOCATION, self.namespace, "primary") + "/status"
        await self.kube.patch(path, {"status": {"phase": "Available"}})
        for name in datasources:
            spec = {
                "engine": "postgresql",
                "host": "db",
                "database": name,
                "credentialsSecretRef": {"name": "db"},
                "maxConcurrentExecutions": limit,
            }
            await self.create(DATASOURCE, name, spec)
            storage = {"locations": [{"name": "primary"}]}
            await self.create(BACKUP_JOB, name, {"datasourceRef": {"name": name}, "storage": storage, **job})

    async def backup(self, name: str, job: str = "orders", **spec: Any) -> None:
        await self.create(BACKUP_EXECUTION, name, {"backupJobRef": {"name": job}, **spec})

    async def slot(self, name: str, job: str = "orders") -> None:
        await self.backup(name, job, trigger="Schedule", scheduledTime=STARTED)

    async def restore(self, name: str, of: str) -> None:
        await self.create(RESTORE, name, {"backupExecutionRef": {"name": of}, "confirmationPhrase": "RESTAURAR"})

    async def sync_job(self, source: str = "orders", target: str = "staging", **spec: Any) -> None:
        """The DatabaseSyncJob ``refresh``."""
        references = {"sourceRef": {"name": source}, "targetRef": {"name": target}}
        await self.create(SYNC_JOB, "refresh", {**references, **spec})

    async def sync(self, name: str, **spec: Any) -> JSON:
        return await self.create(SYNC, name, {"databaseSyncJobRef": {"name": "refresh"}, **spec})

    async def cancel(self, name: str, kind: Kind[Any] = BACKUP_EXECUTION) -> None:
        await self.kube.patch(objects_path(kind, self.namespace, name), {"spec": {"cancel": True}})

    async def delete(self, name: str, kind: Kind[Any] = BACKUP_EXECUTION) -> None:
        await self.kube.delete(objects_path(kind, self.namespace, name))

    # What they see.

    async def get(self, name: str, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        return await self.kube.get(objects_path(kind, self.namespace, name))

    async def status(self, name: str, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        return dict((await self.get(name, kind)).get("status", {}))

    async def ready(self, name: str, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        """The condition Ready; empty while there is none."""
        conditions = (await self.status(name, kind)).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == "Ready"), {})

    async def runs(self, phase: str) -> list[str]:
        """The names of the backups in this phase."""
        found, _ = await self.kube.list(objects_path(BACKUP_EXECUTION, self.namespace))
        return sorted(run["metadata"]["name"] for run in found if run.get("status", {}).get("phase") == phase)

    async def jobs(self) -> list[str]:
        found, _ = await self.kube.list(jobs_path(self.namespace))
        return sorted(job["metadata"]["name"] for job in found)

    async def until_phase(self, name: str, phase: str, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        async def look() -> bool:
            return (await self.status(name, kind)).get("phase") == phase

        await until(look, what=f"{name} is {phase}")
        return await self.status(name, kind)

    async def until_place(self, name: str, place: int) -> None:
        await self.until_status(name, lambda status: status.get("queuePosition") == place, what=f"{name} is at {place}")

    async def until_running(self, *names: str) -> None:
        """Return when these backups run, and no others."""

        async def look() -> bool:
            return await self.runs("Running") == sorted(names)

        await until(look, what=f"{names} run")

    async def until_reason(self, name: str, reason: str, says: str = "", *, kind: Kind[Any] = BACKUP_EXECUTION) -> JSON:
        async def look() -> bool:
            ready = await self.ready(name, kind)
            return ready.get("reason") == reason and says in ready["message"]

        await until(look, what=f"{name} says {reason} {says}")
        return await self.ready(name, kind)

    async def until_status(self, name: str, test: Callable[[JSON], object], *, what: str) -> None:
        async def look() -> object:
            return test(await self.status(name))

        await until(look, what=what)

    # What the Job controller and the kubelet do.

    async def start_pod(self, run: str, operation: str = "backup", *, node: str = "node-1", **status: Any) -> str:
        """The pod of a run's Kubernetes Job, running unless its status says otherwise. Returns its name."""
        job = await self.kube.get(jobs_path(self.namespace, f"{operation}-{run}"))
        self.pods += 1
        name = f"{operation}-{run}-{self.pods}"
        labels = {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": f"{operation}-{run}"}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "spec": {"nodeName": node, "containers": [{"name": CONTAINER, "image": "unused"}]},
        }
        await self.kube.create(pods_path(self.namespace), body)
        running = {"phase": "Running", "containerStatuses": [container(running={"startedAt": STARTED})]}
        await self._pod_status(name, {**running, **status})
        return name

    async def end_pod(self, pod: str, report: JSON | None, exit_code: int = 0) -> None:
        """The runner's container ends and leaves its report, if any."""
        message = {"message": json.dumps(report)} if report else {}
        ended = {"exitCode": exit_code, "finishedAt": STARTED, **message}
        phase = "Succeeded" if exit_code == 0 else "Failed"
        await self._pod_status(pod, {"phase": phase, "containerStatuses": [container(terminated=ended)]})

    async def remove_pod(self, pod: str) -> None:
        path = pods_path(self.namespace, pod)
        with suppress(Absent):
            await self.kube._call("DELETE", path, body={"gracePeriodSeconds": 0})

    async def _pod_status(self, pod: str, status: JSON) -> None:
        await self.kube.patch(pods_path(self.namespace, pod) + "/status", {"status": status})

    async def job_status(self, run: str, status: JSON, operation: str = "backup") -> None:
        path = jobs_path(self.namespace, f"{operation}-{run}") + "/status"
        await self.kube.patch(path, {"status": status})

    async def complete(
        self, run: str, operation: str = "backup", pod: str | None = None, report: JSON = COMPLETED
    ) -> None:
        """The runner ends well, and the Kubernetes Job with it."""
        await self.end_pod(pod or await self.start_pod(run, operation), report)
        conditions = [_condition("SuccessCriteriaMet"), _condition("Complete")]
        times = {"startTime": STARTED, "completionTime": STARTED}
        await self.job_status(run, {**times, "succeeded": 1, "conditions": conditions}, operation)

    async def until_going(self, run: str, operation: str = "backup") -> None:
        """Return when the Kubernetes Job is being deleted in the foreground."""

        async def look() -> bool:
            meta = (await self.kube.get(jobs_path(self.namespace, f"{operation}-{run}")))["metadata"]
            return bool(meta.get("deletionTimestamp")) and meta["finalizers"] == ["foregroundDeletion"]

        await until(look, what=f"the Kubernetes Job of {run} is being deleted")

    async def collect_job(self, run: str, operation: str = "backup") -> None:
        """The garbage collector finishes the deletion of a Kubernetes Job."""
        with suppress(Absent):
            path = jobs_path(self.namespace, f"{operation}-{run}")
            await self.kube.patch(path, {"metadata": {"finalizers": None}})

    async def find_nothing(self, run: str, node: Kubelet) -> None:
        """The store, when it is asked, has no backup of the run."""
        path = jobs_path(self.namespace, f"find-{run}")

        async def look() -> bool:
            with suppress(Absent):
                await self.kube.get(path)
                return True
            return False

        await until(look, what=f"the store is asked for {run}")
        await side_pods.end(self.kube, node, await self.kube.get(path), NOTHING)

    async def warn(self, about: JSON, reason: str, message: str) -> None:
        """An event that a controller posts."""
        meta = about["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "event-", "namespace": self.namespace},
            "involvedObject": {"uid": meta["uid"], "name": meta["name"], "namespace": self.namespace},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "firstTimestamp": STARTED,
            "lastTimestamp": STARTED,
            "count": 1,
        }
        await self.kube.create(f"/api/v1/namespaces/{self.namespace}/events", event)

    async def clear(self) -> None:
        """Remove what would count as under way in a later test."""
        for kind in RUNS:
            await self._remove_all(objects_path(kind, self.namespace))
        for job in await self.jobs():
            await self.kube.delete(jobs_path(self.namespace, job))
            await self.collect_job(job.partition("-")[2], job.partition("-")[0])
        for pod in (await self.kube.list(pods_path(self.namespace)))[0]:
            await self.remove_pod(pod["metadata"]["name"])

    async def clear_others(self) -> None:
        """Remove what tests have left in other namespaces: an operator counts the runs of all of them."""
        left = [each for kind in RUNS for each in (await self.kube.list(objects_path(kind)))[0]]
        left += (await self.kube.list(jobs_path()))[0]
        for namespace in {each["metadata"]["namespace"] for each in left}:
            await World(self.kube, namespace).clear()

    async def _remove_all(self, path: str) -> None:
        found: Iterable[JSON] = (await self.kube.list(path))[0]
        for each in found:
            await self.kube.delete(f"{path}/{each['metadata']['name']}")


def container(**state: JSON) -> JSON:
    """The status of the runner's container."""
    names = {"name": CONTAINER, "image": "unused", "imageID": ""}
    return {**names, "ready": "running" in state, "restartCount": 0, "state": state}


def _condition(type: str) -> JSON:
    return {"type": type, "status": "True", "lastTransitionTime": STARTED, "reason": "Test", "message": ""}
