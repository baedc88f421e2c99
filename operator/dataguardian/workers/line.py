"""The line of runs that wait: who gets an entry of a queue, who is next, and what each is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..domain import status as moves
from ..domain.capacity import IN_LINE, QUEUE_AWAY, TURN, Capacity, in_line, next_up, places
from ..domain.readiness import Obstacle
from ..kube.status import change_status
from ..queue import Entry, QueueUnavailable
from ..resources.common import Resource
from . import rows
from .context import Context, now
from .loop import attempt
from .operations import RunKind, priority_of
from .prepared import NOTHING, Known
from .slots import Open, as_waiting, datasources_of, reason_of

log = logging.getLogger(__name__)

Run = Resource[Any, Any]
TOLD = 50  # of the line have a place and reason that are kept up to date; thousands of writes would tell no more


def outlook(context: Context, run: Run) -> tuple[Obstacle, int | None]:
    """What a run that has just been made waits for, and its place; no place when it is about to start."""
    place = context.slots.newcomers_place(run)
    held = _held(context, context.slots.capacity(), run, place)
    return held, None if held == TURN else place


async def push(context: Context, run_kind: RunKind, run: Run) -> None:
    """Give the run an entry of its queue; while Redis is away the run says so, and the sweep goes on."""
    meta = run.metadata
    entry = Entry(execution_id=meta.uid, namespace=meta.namespace, name=meta.name, priority=priority_of(run))
    try:
        if not context.queue.away_seconds():  # else the dispatcher asks often enough; a frozen server takes its time
            await context.queue.push(run_kind.queue, entry)
            context.slots.ring()
            return
    except QueueUnavailable as error:
        log.warning("%s The sweep goes on.", error, extra={"action": "queue_away", "execution": meta.uid})
    if reason_of(run) == TURN.reason:
        await wait(context, run_kind, run, QUEUE_AWAY, place=context.slots.newcomers_place(run))


async def freed(context: Context, run: Run) -> None:
    """A run has ended, whichever way: its slot is free, and the next one of each of its datasources gets an entry.

    The one place for it; what is lost here, because Redis is away or this process dies, the sweep finds.
    """
    context.pods.pop(run.metadata.uid, None)
    context.held_since.pop(run.metadata.uid, None)
    context.slots.release(run.metadata.uid)
    context.slots.ring()
    names = datasources_of(run)
    if not names or context.queue.away_seconds():
        return
    await _call(context, [*context.slots.line_of(names), *context.slots.waiting_for(run)])


async def call_waiting(context: Context, called: set[str]) -> None:
    """Give entries to all that wait without one, but for those whose datasource has no room."""
    await _call(context, context.slots.queued(), called)


async def call(context: Context, reason: str) -> None:
    """Give entries to all that say that they wait for this: it has come."""
    await _call(context, [(run_kind, run) for run_kind, run in context.slots.queued() if reason_of(run) == reason])


async def _call(context: Context, waiting: Sequence[Open], called: set[str] | None = None) -> None:
    for run_kind, run in upcoming(context, waiting, called or set()):
        await attempt("sweep", partial(push, context, run_kind, run))


def upcoming(context: Context, waiting: Sequence[Open], called: set[str]) -> list[Open]:
    """Those of the waiting runs that could start if there were slots for all, in order."""
    found = {run.metadata.uid: (run_kind, run) for run_kind, run in waiting}
    line = in_line(as_waiting(run) for _, run in waiting)
    return [found[each.execution_id] for each in next_up(line, context.slots.capacity(), now=now(), called=called)]


async def tell(context: Context) -> None:
    """Write reason and place of the first TOLD in line, as far as they have changed."""
    line = [(run_kind, run) for run_kind, run in context.slots.queued() if reason_of(run) in IN_LINE]
    capacity = context.slots.capacity()
    place = places([as_waiting(run) for _, run in line], capacity)
    for run_kind, run in line[:TOLD]:
        its_place = place[run.metadata.uid]
        held = _held(context, capacity, run, its_place)
        if held != TURN:  # else it is about to start
            await attempt("sweep", partial(wait, context, run_kind, run, held, place=its_place))


async def wait(
    context: Context,
    run_kind: RunKind,
    run: Run,
    held: Obstacle,
    *,
    place: int | None = None,
    known: Known = NOTHING,
) -> None:
    """Write what a Queued run waits for, and fields of its status that are known by now; nothing is written when it
    says so already. The row of the run gets its datasource and job as soon as they are known."""
    before = run.status.datasource
    run = await change_status(
        context.kube,
        run_kind.kind,
        run,
        lambda current: moves.waiting(current.status, held, now=now(), place=place, **known),
    )
    context.catalog.put(run_kind.kind, run)
    row = rows.row_of(run_kind, run, observed_at=now()) if run.status.datasource != before else None
    if row is not None:
        rows.keep(context, row)


def _held(context: Context, capacity: Capacity, run: Run, place: int) -> Obstacle:
    names = datasources_of(run)
    if found := capacity.obstacle(names):
        return found
    if context.queue.away_seconds():
        return QUEUE_AWAY
    return capacity.obstacle(names, ahead=place - 1) or TURN
