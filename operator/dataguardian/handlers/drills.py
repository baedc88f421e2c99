"""RestoreDrills: their next slot, what stands in their way, and what they found."""

from __future__ import annotations

from ..resources.common import Kind
from ..resources.drill import RestoreDrill
from ..workers import judging
from ..workers.context import Context
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[RestoreDrill], resource: RestoreDrill) -> None:
    """It exists, or has changed."""
    judging.seen(context, scheduler, kind, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[RestoreDrill], resource: RestoreDrill) -> None:
    """It was deleted. Its RestoreRequests stay."""
    judging.gone(context, scheduler, kind, resource)
