"""What the runs of a RestoreDrill have found, brought into its status.

It follows from the objects: whatever dies in between, the next look at the drill goes on. Twice is once.
"""

from __future__ import annotations

from functools import partial, reduce

from ..domain.drills import DrillRun
from ..domain.naming import human_seconds
from ..domain.summary import RESULTS, drill_summary
from ..kube import events
from ..kube.status import change_status
from ..resources import drill as drills
from ..resources import restore
from ..resources.drill import RestoreDrill, RestoreDrillStatus
from ..resources.restore import RestoreRequest
from .context import Context, now
from .loop import attempt


async def learn(context: Context, drill: RestoreDrill) -> RestoreDrill:
    """Tell of the runs that have ended since the last look, in status and events. Returns the drill as it is then."""
    meta = drill.metadata
    runs = context.catalog.drill_runs.untold(drill)
    ended = [request for run in runs if (request := await _read(context, run)) is not None]
    if not ended:
        return drill
    for request in ended:
        await attempt("judge", partial(_post, context, drill, request))  # never in the way of the status

    def change(current: RestoreDrill) -> RestoreDrillStatus:
        return reduce(_after, ended, current.status)

    changed = await change_status(context.kube, drills.KIND, drill, change)
    for run in runs:
        context.catalog.drill_runs.tell(run)
    if context.catalog.known(drills.KIND, meta.namespace, meta.name) is drill:
        context.catalog.put(drills.KIND, changed)
    return changed


def _after(status: RestoreDrillStatus, request: RestoreRequest) -> RestoreDrillStatus:
    return drill_summary(status, request, now=now()) or status


async def _read(context: Context, run: DrillRun) -> RestoreRequest | None:
    request = await context.catalog.read(restore.KIND, run.namespace, run.name)
    if request is not None and request.metadata.uid == run.uid:
        return request
    context.catalog.drill_runs.forget(run)
    return None


async def _post(context: Context, drill: RestoreDrill, request: RestoreRequest) -> None:
    """Post how a run of the drill ended. The event's name says which run, so that it is posted once."""
    status, meta = request.status, request.metadata
    if status.phase is None or status.completion_time is None:
        return
    told = f"{status.error.message} {status.error.remedy}" if status.error else _praise(status)
    await events.post(
        context.kube,
        drills.KIND,
        drill,
        name=f"{drill.metadata.name}.{meta.uid}",
        at=status.completion_time,
        reason=f"Drill{RESULTS[status.phase]}",
        message=f"RestoreRequest {meta.name}: {told}",
        warning=status.error is not None,
    )


def _praise(status: restore.RestoreRequestStatus) -> str:
    took = "" if status.restore_seconds is None else f" in {human_seconds(status.restore_seconds)}"
    return f"BackupExecution {status.backup_execution} was restored and compared{took}."
