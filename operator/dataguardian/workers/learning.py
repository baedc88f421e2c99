"""What ended runs have found, brought into the status and the events of what they were runs of.

It follows from the objects: whatever dies in between, the next look at the owner goes on. Twice is once.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

from ..domain.ended_runs import EndedRun, Lessons
from ..kube import events
from ..kube.status import change_status
from ..resources.common import Resource
from .context import Context, now
from .loop import attempt
from .scheduled import Scheduled, ScheduledKind

Run = Resource[Any, Any]


async def learn(context: Context, scheduled: ScheduledKind, lessons: Lessons, owner: Scheduled) -> Scheduled:
    """Tell of the runs that have ended since the last look, in status and events. Returns the owner as it is then."""
    kind, meta = scheduled.kind, owner.metadata
    known = context.catalog.ended_runs[scheduled.run_kind.plural]
    runs = known.untold(owner)
    ended = [run for entry in runs if (run := await _read(context, scheduled, entry)) is not None]
    if not ended:
        return owner
    for run in ended:
        tell = partial(_post, context, scheduled, lessons, owner, run)
        await attempt("judge", tell)  # never in the way of the status

    def change(current: Scheduled) -> Any:
        return reduce(lambda status, run: lessons.summary(status, run, now=now()) or status, ended, current.status)

    changed: Scheduled = await change_status(context.kube, kind, owner, change)
    for entry in runs:
        known.tell(entry)
    if context.catalog.known(kind, meta.namespace, meta.name) is owner:
        context.catalog.put(kind, changed)
    return changed


async def _read(context: Context, scheduled: ScheduledKind, entry: EndedRun) -> Run | None:
    run: Run | None = await context.catalog.read(scheduled.run_kind, entry.namespace, entry.name)
    if run is not None and run.metadata.uid == entry.uid:
        return run
    context.catalog.ended_runs[scheduled.run_kind.plural].forget(entry)
    return None


async def _post(context: Context, scheduled: ScheduledKind, lessons: Lessons, owner: Scheduled, run: Run) -> None:
    """Post how a run of the owner ended. The event's name says which run, so that it is posted once."""
    status, meta = run.status, run.metadata
    if status.phase is None or status.completion_time is None:
        return
    told = f"{status.error.message} {status.error.remedy}" if status.error else lessons.praise(run)
    await events.post(
        context.kube,
        scheduled.kind,
        owner,
        name=f"{owner.metadata.name}.{meta.uid}",
        at=status.completion_time,
        reason=lessons.reasons[status.phase],
        message=f"{scheduled.run_kind.name} {meta.name}: {told}",
        warning=status.error is not None,
    )
