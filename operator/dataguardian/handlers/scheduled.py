"""RestoreDrills and DatabaseSyncJobs: their next slot, what stands in their way, and how their runs ended."""

from __future__ import annotations

from typing import Any

from ..resources.common import Kind
from ..workers import judging
from ..workers.context import Context
from ..workers.scheduled import Scheduled
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Scheduled) -> None:
    """It exists, or has changed."""
    judging.seen(context, scheduler, kind, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Scheduled) -> None:
    """It was deleted. Its runs stay."""
    judging.gone(context, scheduler, kind, resource)
