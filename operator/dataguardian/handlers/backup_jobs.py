"""BackupJobs: their next slot, and what stands in their way; the drills that verify their backups."""

from __future__ import annotations

from ..resources.backup import BackupJob
from ..resources.common import Kind
from ..workers import judging
from ..workers.context import Context
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It exists, or has changed."""
    judging.seen(context, scheduler, kind, resource)
    if resource.status.observed_generation is not None:  # a new one is assessed when it is judged
        context.unassessed[resource.metadata.namespace, resource.metadata.name] = None
    judging.reference_seen(context, kind, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It was deleted. Its backups stay where they are, and so do their entries."""
    judging.gone(context, scheduler, kind, resource)
    judging.reference_gone(context, kind, resource)
