"""The sweep: brings every open run on its way again, whatever was lost; the way without the queue."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from ..kube.client import Absent
from ..queue import QueueUnavailable
from ..resources.common import Resource
from . import cancel, dispatcher, line, recorder, running
from .context import Context
from .loop import attempt
from .operations import RUN_KINDS, RunKind

log = logging.getLogger(__name__)

EVERY_S = 30.0
QUEUE_AWAY_S = 30.0  # after which runs start without the queue

Run = Resource[Any, Any]


async def sweep(context: Context) -> None:
    """Look at every open run once; a step of the worker ``sweep``."""
    for run_kind, run in list(context.slots.open()):
        await attempt("sweep", partial(_bring_on, context, run_kind, run))
    for run_kind, run in context.slots.half_started():
        await attempt("sweep", partial(dispatcher.dispatch_known, context, run_kind, run))
    called = await _called(context)
    if called is not None:
        await line.call_waiting(context, called)
    elif context.queue.away_seconds() >= QUEUE_AWAY_S:
        await _start_without_queue(context)
    await line.tell(context)


async def _bring_on(context: Context, run_kind: RunKind, run: Run) -> None:
    try:
        if run.status.phase is None:
            await dispatcher.accept(context, run_kind, run)
        elif run.spec.cancel:
            await cancel.cancel(context, run_kind, run)
        elif run.status.phase == "Running":
            await running.check(context, run_kind, run)
    except Absent:
        await recorder.forget(context, run_kind, run)


async def _called(context: Context) -> set[str] | None:
    """The executions that have an entry; None while Redis does not answer."""
    found: set[str] = set()
    try:
        for run_kind in RUN_KINDS.values():
            found |= await context.queue.waiting(run_kind.queue)
    except QueueUnavailable as error:
        log.warning("%s", error, extra={"action": "queue_away", "seconds": round(context.queue.away_seconds())})
        return None
    return found


async def _start_without_queue(context: Context) -> None:
    """Start what waits, in order, as far as the limits allow."""
    for run_kind, run in line.upcoming(context, context.slots.queued(), set()):
        if not context.slots.capacity().room:
            return
        await attempt("sweep", partial(dispatcher.dispatch_known, context, run_kind, run))
