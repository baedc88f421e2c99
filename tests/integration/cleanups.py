"""A step of the worker ``cleanup``, and what it is told, against a real API server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dataguardian.domain.naming import GENERATION, HELD
from dataguardian.domain.report import Report
from dataguardian.domain.told import Told
from dataguardian.kube.client import JSON, jobs_path, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from dataguardian.workers.cleanup import CLEANUP, clean_all
from dataguardian.workers.context import Context
from dataguardian.workers.side_jobs import Ended

from . import stored

RULES = {"maxBackups": 1}
JUDGED = Report(completed=True, backups=1, expired=0)


async def ended(context: Context, job: BackupJob, report: Report, *told: Told, held: str = "") -> BackupJob:
    """A cleanup of the job ends, which was made when these backups were held; returns the job as it is then."""
    meta = job.metadata
    end = Ended(
        kind=BACKUP_JOB.name,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        began=datetime.now(UTC),
        notes={GENERATION: str(meta.generation), HELD: held},
        report=report,
        told=told,
    )
    await CLEANUP.ended(context, end)
    return await read(context, job)


async def read(context: Context, job: BackupJob) -> BackupJob:
    path = objects_path(BACKUP_JOB, job.metadata.namespace, job.metadata.name)
    found = BackupJob.read(await context.kube.get(path))
    context.catalog.put(BACKUP_JOB, found)
    return found


async def cleanups(context: Context, namespace: str) -> list[JSON]:
    """The Kubernetes Jobs that a step of the worker leaves."""
    await context.catalog.entries.refresh()
    await clean_all(context)
    return (await context.kube.list(jobs_path(namespace)))[0]


async def unended(context: Context, namespace: str, name: str, phase: str, **spec: Any) -> BackupExecution:
    """A run that has not ended."""
    whole = {"backupJobRef": {"name": "nightly"}, **spec}
    body = await stored.make(context.kube, BACKUP_EXECUTION, namespace, name, whole, {"phase": phase})
    run = BackupExecution.read(body)
    context.catalog.put(BACKUP_EXECUTION, run)
    return run
