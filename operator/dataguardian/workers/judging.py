"""The status of what runs by a schedule, kept true: what stands in its way, when it runs next, what it found."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from ..domain.readiness import Referred, judged_status, standing
from ..domain.status import is_terminal
from ..kube.status import change_status
from ..resources.common import Kind, Resource
from .context import Context, now
from .learning import learn
from .loop import attempt
from .scheduled import SCHEDULED, Scheduled
from .scheduler import Scheduler

TICK_S = 0.2
AT_ONCE = 16  # objects that are judged
RETRY_S = 5.0


def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], owner: Scheduled) -> None:
    """A scheduled object exists, or has changed: its schedule counts from now on, its status follows."""
    context.catalog.put(kind, owner)
    scheduler.next_time(kind, owner)
    ask(context, kind, owner.metadata.namespace, owner.metadata.name)


def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], owner: Scheduled) -> None:
    """A scheduled object was deleted."""
    context.catalog.drop(kind, owner)
    scheduler.forget(owner)


def run_seen(context: Context, kind: Kind[Any], run: Resource[Any, Any]) -> None:
    """A run exists, or has changed: when it has ended, what it was a run of learns how."""
    if not is_terminal(run.status):
        return
    for scheduled in SCHEDULED.values():
        owner = scheduled.owner_of(run) if scheduled.run_kind is kind and scheduled.lessons else None
        if owner is not None:
            ask(context, scheduled.kind, run.metadata.namespace, owner)


def reference_seen(context: Context, kind: Kind[Any], referred: Referred) -> bool:
    """An object that others refer to exists, or has changed: those are judged again. False when they are not.

    They are not when it is as it was: thousands may refer to it, and each check of it changes its status.
    """
    context.catalog.put(kind, referred)
    found = standing(referred)
    if context.standings.get(referred.metadata.uid) == found:
        return False
    context.standings[referred.metadata.uid] = found
    _ask_dependents(context, kind, referred)
    return True


def reference_gone(context: Context, kind: Kind[Any], referred: Referred) -> None:
    """An object that others refer to was deleted."""
    context.catalog.drop(kind, referred)
    context.standings.pop(referred.metadata.uid, None)
    _ask_dependents(context, kind, referred)


def _ask_dependents(context: Context, kind: Kind[Any], changed: Referred) -> None:
    for scheduled in SCHEDULED.values():
        names = scheduled.references.get(kind.plural)
        if names is None:
            continue
        for owner in context.catalog.all(scheduled.kind):
            meta = owner.metadata
            if meta.namespace != changed.metadata.namespace:
                continue
            named = names(owner)
            if named is None or changed.metadata.name in named:
                ask(context, scheduled.kind, meta.namespace, meta.name)


def ask(context: Context, kind: Kind[Any], namespace: str, name: str) -> None:
    """Have a scheduled object judged soon."""
    context.unjudged[kind.plural, namespace, name] = None


async def judge_all(context: Context, scheduler: Scheduler) -> None:
    """Judge the objects that ask for it, some at once; those that fail ask again. A step of the worker ``judge``."""
    failed: list[tuple[str, str, str]] = []

    async def judge_some() -> None:
        while context.unjudged and len(failed) < AT_ONCE:  # more of them tell no more
            key = next(iter(context.unjudged))
            del context.unjudged[key]
            kind = SCHEDULED[key[0]].kind
            owner = context.catalog.known(kind, *key[1:])
            if owner is not None and not await attempt("judge", partial(judge, context, scheduler, kind, owner)):
                failed.append(key)

    if not context.unjudged:
        return
    await asyncio.gather(*(judge_some() for _ in range(AT_ONCE)))
    if failed:
        context.unjudged.update(dict.fromkeys(failed))
        await asyncio.sleep(RETRY_S)


async def judge(context: Context, scheduler: Scheduler, kind: Kind[Any], owner: Scheduled) -> None:
    """Write the obstacle, if any, the next slot, and what the runs found that have ended."""
    scheduled = SCHEDULED[kind.plural]
    following = scheduler.next_time(kind, owner)
    if scheduled.lessons:
        owner = await learn(context, scheduled, scheduled.lessons, owner)
    found = await scheduled.obstacle(context.catalog, owner)

    def change(current: Scheduled) -> Any:
        if current.metadata.generation != owner.metadata.generation:
            return None  # another spec, which is judged when it is seen
        status = judged_status(current, found, next_schedule=following, now=now())
        return scheduled.begun(context, current.model_copy(update={"status": status}))

    changed = await change_status(context.kube, kind, owner, change)
    if context.catalog.known(kind, owner.metadata.namespace, owner.metadata.name) is owner:
        context.catalog.put(kind, changed)
