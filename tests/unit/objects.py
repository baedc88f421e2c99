"""Objects to test the rules with."""

from typing import Any
from uuid import UUID

from dataguardian.resources.backup import BackupExecution, BackupJob
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.drill import RestoreDrill
from dataguardian.resources.restore import RestoreRequest
from dataguardian.resources.storage_location import StorageLocation
from dataguardian.resources.sync import DatabaseSyncExecution, DatabaseSyncJob

CREATED = "2026-11-24T02:00:00Z"


def metadata(name: str, number: int) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "shop",
        "uid": str(UUID(int=number)),
        "generation": 1,
        "creationTimestamp": CREATED,
    }


def datasource(name: str = "orders", **spec: Any) -> Datasource:
    whole = {
        "engine": "postgresql",
        "host": f"{name}-db.shop.svc",
        "database": "orders",
        "credentialsSecretRef": {"name": f"{name}-db"},
        **spec,
    }
    return Datasource.read({"metadata": metadata(name, 1), "spec": whole})


def bucket(**spec: Any) -> StorageLocation:
    s3 = {"bucket": "backups", "prefix": "prod", "credentialsSecretRef": {"name": "s3"}}
    return StorageLocation.read({"metadata": metadata("primary", 2), "spec": {"s3": s3, **spec}})


def volume() -> StorageLocation:
    return StorageLocation.read(
        {"metadata": metadata("local", 3), "spec": {"filesystem": {"claimName": "backups", "path": "prod"}}}
    )


def backup_job(name: str = "nightly", **spec: Any) -> BackupJob:
    whole = {"datasourceRef": {"name": "orders"}, "storage": {"locations": [{"name": "primary"}]}, **spec}
    return BackupJob.read({"metadata": metadata(name, 4), "spec": whole})


def execution(name: str = "nightly-1", number: int = 5, status: dict[str, Any] | None = None) -> BackupExecution:
    return BackupExecution.read(
        {"metadata": metadata(name, number), "spec": {"backupJobRef": {"name": "nightly"}}, "status": status}
    )


def restore_request(**spec: Any) -> RestoreRequest:
    whole = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR", **spec}
    return RestoreRequest.read({"metadata": metadata("bring-back", 6), "spec": whole})


def sync_job(**spec: Any) -> DatabaseSyncJob:
    """The datasource ``orders`` is copied to ``staging``."""
    whole = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}, **spec}
    return DatabaseSyncJob.read({"metadata": metadata("refresh", 8), "spec": whole})


def sync_execution(status: dict[str, Any] | None = None) -> DatabaseSyncExecution:
    spec = {"databaseSyncJobRef": {"name": "refresh"}}
    return DatabaseSyncExecution.read({"metadata": metadata("refresh-1", 9), "spec": spec, "status": status})


def restore_drill(status: dict[str, Any] | None = None, **spec: Any) -> RestoreDrill:
    whole = {"backupJobRef": {"name": "nightly"}, **spec}
    return RestoreDrill.read({"metadata": metadata("weekly", 7), "spec": whole, "status": status})


def drill_request(name: str, phase: str | None = "Completed", at: str = CREATED, **spec: Any) -> RestoreRequest:
    """A RestoreRequest of that drill; it took 42 s when it was completed."""
    whole = {"restoreDrillRef": {"name": "weekly"}, "verificationMode": True, **spec}
    took = {"restoreSeconds": 42} if phase == "Completed" else {}
    meta = metadata(name, int.from_bytes(name.encode()))
    return RestoreRequest.read({"metadata": meta, "spec": whole, "status": {**ended(phase, at), **took}})


def ended_sync(
    name: str = "refresh-1", phase: str = "Completed", at: str = CREATED, **status: Any
) -> DatabaseSyncExecution:
    """A run of that job."""
    known = {"datasource": "staging", "source": "orders", **ended(phase, at), **status}
    meta = metadata(name, int.from_bytes(name.encode()))
    return DatabaseSyncExecution.read(
        {"metadata": meta, "spec": {"databaseSyncJobRef": {"name": "refresh"}}, "status": known}
    )


def ended(phase: str | None, at: str) -> dict[str, Any]:
    """The status of a run in this phase; None: it is not accepted yet."""
    if phase is None:
        return {}
    ready = {
        "type": "Ready",
        "status": "True" if phase == "Completed" else "False",
        "reason": phase,
        "message": "m",
        "lastTransitionTime": at,
    }
    return {"phase": phase, "completionTime": at, "conditions": [ready]}
