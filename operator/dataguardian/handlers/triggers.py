"""Every trigger of the operator: kind → what is done when one of its objects is seen.

``on.event`` is used for all of them: a handler brings the world in line with the object as it is, so it needs no
progress kept in annotations, no finalizer, and no write for a change that means nothing. What fails is tried again by
the workers' sweeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import kopf

from ..resources import KINDS, backup, datasource, drill, restore, storage_location, sync
from ..resources.common import GROUP, VERSION, Kind
from ..workers.context import Context
from ..workers.loop import attempt
from ..workers.scheduler import Scheduler
from . import backup_jobs, checked, runs, scheduled

Handler = Callable[[Context, Scheduler, Kind[Any], Any], Awaitable[None]]

SEEN: dict[str, Handler] = {
    datasource.KIND.plural: checked.seen,
    storage_location.KIND.plural: checked.seen,
    backup.BACKUP_JOB.plural: backup_jobs.seen,
    backup.BACKUP_EXECUTION.plural: runs.seen,
    restore.KIND.plural: runs.seen,
    drill.KIND.plural: scheduled.seen,
    sync.DATABASE_SYNC_JOB.plural: scheduled.seen,
    sync.DATABASE_SYNC_EXECUTION.plural: runs.seen,
}
GONE: dict[str, Handler] = {
    datasource.KIND.plural: checked.gone,
    storage_location.KIND.plural: checked.gone,
    backup.BACKUP_JOB.plural: backup_jobs.gone,
    backup.BACKUP_EXECUTION.plural: runs.gone,
    restore.KIND.plural: runs.gone,
    drill.KIND.plural: scheduled.gone,
    sync.DATABASE_SYNC_JOB.plural: scheduled.gone,
    sync.DATABASE_SYNC_EXECUTION.plural: runs.gone,
}


def register(registry: kopf.OperatorRegistry, context: Context, scheduler: Scheduler) -> None:
    """Hang every handler of the table on Kopf."""
    for kind in KINDS:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.plural)(
            _handler(context, scheduler, kind)
        )


def _handler(context: Context, scheduler: Scheduler, kind: Kind[Any]) -> Callable[..., Awaitable[None]]:
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        body = cast(dict[str, Any], event["object"])
        resource = kind.model.read(body)
        _empty(body)
        table = GONE if event["type"] == "DELETED" else SEEN
        await attempt(f"handler {kind.plural}", lambda: table[kind.plural](context, scheduler, kind, resource))

    return handle


def _empty(body: dict[str, Any]) -> None:
    """Let go of what has been read: the wrappers that Kopf made of it refer to each other, and outlive the event."""
    body.pop("spec", None)
    body.pop("status", None)
    body["metadata"].pop("managedFields", None)
