"""BackupJobs: their next slot, what stands in their way, and what they can bring back."""

from __future__ import annotations

from ..resources.backup import BackupJob
from ..resources.common import Kind
from ..workers import judging
from ..workers.context import Context
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It exists, or has changed."""
    judging.seen(context, scheduler, kind, resource)
    context.unassessed[resource.metadata.namespace, resource.metadata.name] = None


async def gone(context: Context, scheduler: Scheduler, kind: Kind[BackupJob], resource: BackupJob) -> None:
    """It was deleted. Its backups stay where they are, and so do their entries."""
    judging.gone(context, scheduler, kind, resource)
