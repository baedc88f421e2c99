"""Runs as the API server has them, without anything that runs: objects, Kubernetes Jobs and pods that have ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dataguardian.domain import report as reports
from dataguardian.domain.naming import (
    CONTAINER,
    DATASOURCE,
    MANAGED_BY,
    OPERATION,
    OWNER_NAME,
    OWNER_UID,
    PROGRAM,
    RunOperation,
    kubernetes_job_name,
)
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.kube.client import JSON, Kubernetes, jobs_path, objects_path, pods_path
from dataguardian.resources import restore
from dataguardian.resources.backup import BACKUP_EXECUTION, BackupExecution
from dataguardian.resources.common import API_VERSION, Kind, timestamp
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.sync import DATABASE_SYNC_EXECUTION

CHECKSUM = "sha256:" + "a" * 64
REPORT = Report(
    completed=True,
    dump_bytes=100,
    stored_bytes=10,
    checksum=CHECKSUM,
    copies=[StoredCopy(location="primary", key="shop/nightly/manifest.json", stored=True)],
)


def a_moment_ago() -> str:
    return timestamp(datetime.now(UTC))


async def _create(kube: Kubernetes, kind: Kind[Any], namespace: str, name: str, spec: JSON, status: JSON) -> JSON:
    body = {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    made = await kube.create(objects_path(kind, namespace), body)
    return await set_status(kube, kind, made, {"executionId": made["metadata"]["uid"], **status})


async def set_status(kube: Kubernetes, kind: Kind[Any], body: JSON, status: JSON) -> JSON:
    """Change fields of an object's status."""
    meta = body["metadata"]
    return await kube.patch(objects_path(kind, meta["namespace"], meta["name"]) + "/status", {"status": status})


async def backup_run(kube: Kubernetes, namespace: str, name: str, *, spec: JSON | None = None, **status: Any) -> JSON:
    """A BackupExecution; Running unless its status says otherwise."""
    running = {"phase": "Running", "queuedTime": a_moment_ago(), "startTime": a_moment_ago(), "datasource": "orders"}
    whole = {"backupJobRef": {"name": "nightly"}, **(spec or {})}
    return await _create(kube, BACKUP_EXECUTION, namespace, name, whole, {**running, **status})


async def refused_restore(kube: Kubernetes, namespace: str, name: str) -> JSON:
    """A RestoreRequest that failed before it had a Kubernetes Job."""
    failed = {
        "phase": "Failed",
        "queuedTime": a_moment_ago(),
        "completionTime": a_moment_ago(),
        "error": {"code": "not-found", "step": "connect", "message": "There is no such backup.", "remedy": "Look."},
    }
    spec = {"backupExecutionRef": {"name": "nothing"}, "confirmationPhrase": restore.RESTORE_PHRASE}
    return await _create(kube, restore.KIND, namespace, name, spec, failed)


async def sync_run(kube: Kubernetes, namespace: str, name: str, **status: Any) -> JSON:
    """A DatabaseSyncExecution; Running unless its status says otherwise."""
    running = {"phase": "Running", "queuedTime": a_moment_ago(), "startTime": a_moment_ago()}
    sides = {"source": "orders", "datasource": "staging", "strategy": "Swap"}
    spec = {"databaseSyncJobRef": {"name": "refresh"}}
    return await _create(kube, DATABASE_SYNC_EXECUTION, namespace, name, spec, {**running, **sides, **status})


async def finished_job(kube: Kubernetes, run: JSON, node: str, *, operation: RunOperation = "backup") -> JSON:
    """The Kubernetes Job of a run that is completed, and its pod, which ran on the node."""
    meta = run["metadata"]
    name = kubernetes_job_name(operation, meta["name"])
    labels = {MANAGED_BY: PROGRAM, OPERATION: operation, OWNER_UID: meta["uid"]}
    pod_spec = {"restartPolicy": "Never", "containers": [{"name": CONTAINER, "image": "unused"}]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": {OWNER_NAME: meta["name"], DATASOURCE: "orders"},
        },
        "spec": {"template": {"metadata": {"labels": labels}, "spec": pod_spec}},
    }
    await kube.create(jobs_path(meta["namespace"]), job)
    await _ended_pod(kube, meta["namespace"], name, labels, {**pod_spec, "nodeName": node})
    done = [
        {"type": each, "status": "True", "lastTransitionTime": a_moment_ago()}
        for each in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": a_moment_ago(), "completionTime": a_moment_ago(), "succeeded": 1, "conditions": done}
    return await kube.patch(jobs_path(meta["namespace"], name) + "/status", {"status": status})


async def _ended_pod(kube: Kubernetes, namespace: str, job: str, labels: JSON, spec: JSON) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": job, "labels": {**labels, "batch.kubernetes.io/job-name": job}},
        "spec": spec,
    }
    await kube.create(pods_path(namespace), pod)
    terminated = {"exitCode": 0, "message": reports.encode(REPORT).decode()}
    container = {
        "name": CONTAINER,
        "state": {"terminated": terminated},
        "ready": False,
        "restartCount": 0,
        "image": "unused",
        "imageID": "",
    }
    status = {"phase": "Succeeded", "containerStatuses": [container]}
    await kube.patch(pods_path(namespace, job) + "/status", {"status": status})


def as_backup(body: JSON) -> BackupExecution:
    """The object as our code reads it."""
    return BackupExecution.read(body)


def as_restore(body: JSON) -> RestoreRequest:
    """The object as our code reads it."""
    return RestoreRequest.read(body)
