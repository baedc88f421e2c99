"""DatabaseSyncJobs and their runs, in a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dataguardian.kube.client import JSON
from dataguardian.resources import datasource
from dataguardian.resources.common import timestamp
from dataguardian.resources.datasource import Datasource
from dataguardian.resources.sync import (
    DATABASE_SYNC_EXECUTION,
    DATABASE_SYNC_JOB,
    DatabaseSyncExecution,
    DatabaseSyncJob,
)
from dataguardian.workers.context import Context

from . import stored


async def make_job(
    context: Context, namespace: str, *, promised: datetime | None = None, **spec: Any
) -> DatabaseSyncJob:
    """A job, as an operator left it that promised a slot and then was away."""
    whole = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}, **spec}
    status = {"nextScheduleTime": timestamp(promised)} if promised else {}
    body = await stored.make(context.kube, DATABASE_SYNC_JOB, namespace, "refresh", whole, status)
    made = DatabaseSyncJob.read(body)
    context.catalog.put(DATABASE_SYNC_JOB, made)
    return made


async def make_run(
    context: Context, namespace: str, name: str, phase: str, *, hours_ago: int = 0, **status: Any
) -> DatabaseSyncExecution:
    """A run of the job; one that has ended did so that long ago."""
    at = timestamp(datetime.now(UTC) - timedelta(hours=hours_ago))
    started = {"phase": phase, "queuedTime": at, "startTime": at, "datasource": "staging", "source": "orders"}
    ended = {"completionTime": at} if phase in ("Completed", "Failed", "Cancelled") else {}
    spec: JSON = {"databaseSyncJobRef": {"name": "refresh"}}
    whole = {**started, **ended, **status}
    body = await stored.make(context.kube, DATABASE_SYNC_EXECUTION, namespace, name, spec, whole)
    return DatabaseSyncExecution.read(body)


async def make_datasource(context: Context, namespace: str, name: str, **spec: Any) -> Datasource:
    """A database on a server of its own."""
    login = {"database": "orders", "credentialsSecretRef": {"name": name}}
    whole = {"engine": "postgresql", "host": f"{name}-db.shop.svc", **login, **spec}
    made = Datasource.read(await stored.make(context.kube, datasource.KIND, namespace, name, whole, {}))
    context.catalog.put(datasource.KIND, made)
    return made
