"""Jobs, locations and entries in a real API server, and what a runner would tell of stored backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from dataguardian.domain.told import BackupKept, BackupRemoved, ManifestFound, RemovalDeferred
from dataguardian.history import History
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources import storage_location
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from dataguardian.resources.common import API_VERSION, Kind, timestamp
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.resources.sync import DATABASE_SYNC_JOB
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS
from dataguardian.workers.rows import row_of

CHECKSUM = "sha256:" + "a" * 64
JOB: JSON = {"datasourceRef": {"name": "orders"}, "storage": {"locations": [{"name": "primary"}]}}
SYNC_JOB: JSON = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}}
COPY = {"location": "primary", "key": "a/manifest.json", "state": "Stored"}


def found(namespace: str, location: str = "primary", name: str = "nightly-1", **fields: Any) -> ManifestFound:
    """A line of an index: a backup of a cluster that is no more, unless its execution's id says otherwise."""
    told: dict[str, Any] = {
        "location": location,
        "key": f"{namespace}/nightly-0badcafe/{name}/manifest.json",
        "execution_id": str(uuid4()),
        "execution_name": name,
        "namespace": namespace,
        "backup_job": "nightly",
        "backup_job_uid": str(uuid4()),
        "datasource": "orders",
        "engine": "postgresql",
        "engine_version": "17.2",
        "database": "orders",
        "checksum": CHECKSUM,
        "dump_bytes": 2048,
        "stored_bytes": 1024,
        "started_at": "2026-11-01T02:00:00.000Z",
        "completed_at": "2026-11-01T02:01:30.000Z",
        "whole": True,
    }
    return ManifestFound(**{**told, **fields})


def found_again(entry: BackupExecution, location: str) -> ManifestFound:
    """A line of an index: a backup that the entry is of."""
    key = entry.status.copies[0].key
    return found(entry.metadata.namespace, location, entry.metadata.name, key=key, execution_id=entry.execution_id)


def kept(entry: BackupExecution, *rules: str) -> BackupKept:
    """A line of a cleanup."""
    return BackupKept(execution_id=entry.execution_id, execution_name=entry.metadata.name, kept_by=list(rules))


def removed(entry: BackupExecution, location: str) -> BackupRemoved:
    """A line of a cleanup."""
    return BackupRemoved(**_of(entry, location), reason="No rule keeps it: maxBackups 1")


def deferred(entry: BackupExecution, location: str) -> RemovalDeferred:
    """A line of a cleanup."""
    return RemovalDeferred(**_of(entry, location), reason="The storage location is ReadOnly")


def _of(entry: BackupExecution, location: str) -> dict[str, str]:
    name, key = entry.metadata.name, entry.status.copies[0].key
    return {"execution_id": entry.execution_id, "execution_name": name, "location": location, "key": key}


async def make(
    kube: Kubernetes, kind: Kind[Any], namespace: str, name: str, spec: JSON, status: JSON | None = None
) -> JSON:
    """An object as somebody writes it, with a status when one is given."""
    body = {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    made = await kube.create(objects_path(kind, namespace), body)
    if status is not None:
        made = await kube.patch(objects_path(kind, namespace, name) + "/status", {"status": status})
    return made


async def change(kube: Kubernetes, history: History, kind: Kind[Any], run: JSON, status: JSON) -> JSON:
    """The run with this status, and then the row that the operator writes of it."""
    path = objects_path(kind, run["metadata"]["namespace"], run["metadata"]["name"])
    changed = await kube.patch(path + "/status", {"status": status})
    run_kind = next(each for each in RUN_KINDS.values() if each.kind is kind)
    row = row_of(run_kind, kind.model.read(changed), observed_at=datetime.now(UTC))
    assert row is not None
    await history.record(row)
    return changed


async def clear_jobs(kube: Kubernetes, *namespaces: str) -> None:
    """No jobs are there any more."""
    for namespace in namespaces:
        for kind in (BACKUP_JOB, DATABASE_SYNC_JOB):
            for found in (await kube.list(objects_path(kind, namespace)))[0]:
                await kube.delete(objects_path(kind, namespace, found["metadata"]["name"]))


async def location(
    context: Context, namespace: str, name: str = "primary", phase: str = "Available", **spec: Any
) -> StorageLocation:
    """A bucket, as a check has found it."""
    s3 = {"s3": {"bucket": "backups", "credentialsSecretRef": {"name": "s3"}}}
    body = await make(context.kube, storage_location.KIND, namespace, name, {**s3, **spec}, {"phase": phase})
    made = StorageLocation.read(body)
    context.catalog.put(storage_location.KIND, made)
    return made


async def set_phase(context: Context, there: StorageLocation, phase: str) -> None:
    """What the next check says."""
    path = objects_path(storage_location.KIND, there.metadata.namespace, there.metadata.name) + "/status"
    context.catalog.put(
        storage_location.KIND, StorageLocation.read(await context.kube.patch(path, {"status": {"phase": phase}}))
    )


async def job(context: Context, namespace: str, *locations: str, **spec: Any) -> BackupJob:
    """A BackupJob that writes to these locations."""
    storage = {"locations": [{"name": name} for name in locations or ("primary",)]}
    whole = {"datasourceRef": {"name": "orders"}, "storage": storage, **spec}
    made = BackupJob.read(await make(context.kube, BACKUP_JOB, namespace, "nightly", whole, {}))
    context.catalog.put(BACKUP_JOB, made)
    return made


async def entry(
    context: Context,
    of: BackupJob,
    number: int = 1,
    *,
    copies: dict[str, str] | None = None,
    phase: str = "Completed",
    name: str | None = None,
    **status: Any,
) -> BackupExecution:
    """An ended run of the job, the older the higher its number, as its handler has seen it."""
    meta = of.metadata
    key = f"{meta.namespace}/{meta.name}-{meta.uid[:8]}/{number}/manifest.json"
    states = {"primary": "Stored"} if copies is None else copies
    ended = timestamp(datetime.now(UTC) - timedelta(hours=number))
    whole = {
        "phase": phase,
        "queuedTime": ended,
        "startTime": ended,
        "completionTime": ended,
        "copies": [{"location": name, "key": key, "state": state} for name, state in states.items()],
        **status,
    }
    spec = {"backupJobRef": {"name": meta.name}}
    body = await make(context.kube, BACKUP_EXECUTION, meta.namespace, name or f"nightly-{number}", spec, whole)
    made = BackupExecution.read(body)
    context.catalog.put(BACKUP_EXECUTION, made)
    return made


async def entries(kube: Kubernetes, namespace: str) -> dict[str, BackupExecution]:
    """All BackupExecutions, by name."""
    bodies, _ = await kube.list(objects_path(BACKUP_EXECUTION, namespace))
    return {body["metadata"]["name"]: BackupExecution.read(body) for body in bodies}


async def read(kube: Kubernetes, there: BackupExecution) -> BackupExecution:
    """The object as it is now."""
    path = objects_path(BACKUP_EXECUTION, there.metadata.namespace, there.metadata.name)
    return BackupExecution.read(await kube.get(path))


def states(of: BackupExecution) -> dict[str, str]:
    """Location → the state of its copy."""
    return {copy.location: copy.state for copy in of.status.copies}
