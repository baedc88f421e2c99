"""BackupJobs: their next slot, and what stands in their way."""

from __future__ import annotations

from ..resources.backup import BackupJob
from ..resources.common import Kind
from ..workers import backup_jobs
from ..workers.context import Context
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It exists, or has changed."""
    backup_jobs.seen(context, scheduler, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It was deleted. Its backups stay where they are, and so do their entries."""
    backup_jobs.gone(context, scheduler, resource)
