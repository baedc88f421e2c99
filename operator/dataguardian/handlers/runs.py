"""Run objects: creating one is the run."""

from __future__ import annotations

from typing import Any

from ..domain.status import is_terminal
from ..resources.common import Kind, Resource
from ..resources.restore import RestoreRequest
from ..workers import recoverability
from ..workers.cancel import cancel
from ..workers.context import Context
from ..workers.dispatcher import accept
from ..workers.judging import run_seen
from ..workers.operations import run_kind_of
from ..workers.recorder import forget
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It exists, or has changed; a new one is accepted, and one that is to end is cancelled."""
    context.catalog.put(kind, resource)
    run_seen(context, kind, resource)
    if resource.status.phase is None:
        await accept(context, run_kind_of(resource), resource)
    elif resource.spec.cancel and not is_terminal(resource.status):
        await cancel(context, run_kind_of(resource), resource)
    elif isinstance(resource, RestoreRequest):
        recoverability.note(context, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It was deleted; its Kubernetes Job goes with it, what is stored stays."""
    await forget(context, run_kind_of(resource), resource)
