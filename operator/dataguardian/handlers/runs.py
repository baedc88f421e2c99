"""Run objects: creating one is the run."""

from __future__ import annotations

from typing import Any

from ..resources.common import Kind, Resource
from ..workers.context import Context
from ..workers.dispatcher import accept
from ..workers.operations import run_kind_of
from ..workers.recorder import record_deleted
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It exists, or has changed; a new one is accepted."""
    context.catalog.put(kind, resource)
    if resource.status.phase is None:
        await accept(context, run_kind_of(resource), resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It was deleted; its Kubernetes Job goes with it, what is stored stays."""
    context.catalog.drop(kind, resource)
    record_deleted(context, run_kind_of(resource), resource)
