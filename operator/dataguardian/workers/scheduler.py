"""One heap of due times over all scheduled objects; a slot's run object has one name, so that it runs once."""

from __future__ import annotations

import asyncio
import heapq
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..domain.naming import slot_run_name
from ..domain.schedule import Timing, due
from ..errors import SpecInvalid
from ..kube import events
from ..kube.client import Absent, Conflict, objects_path
from ..kube.status import change_status
from ..resources.common import Kind, timestamp
from .context import Context, now
from .loop import attempt, enrol
from .scheduled import SCHEDULED, Scheduled, ScheduledKind

log = logging.getLogger(__name__)

TICK_S = 1.0
RETRY = timedelta(seconds=5)
AT_ONCE = 16  # slots that are being started


@dataclass(frozen=True)
class _Waiting:
    """An object, and the slot that it waits for."""

    kind: ScheduledKind
    owner: Scheduled
    timing: Timing
    slot: datetime


class Scheduler:
    """The due times. Entries of changed or deleted objects are dropped when their time comes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heap: list[tuple[datetime, str, datetime]] = []  # when to look, UID, slot
        self._waiting: dict[str, _Waiting] = {}
        self._seen: set[str] = set()

    def next_time(self, kind: Kind[Any], owner: Scheduled) -> datetime | None:
        """The slot that the object waits for; None without a schedule, or while it is suspended."""
        uid = owner.metadata.uid
        waiting = self._expected(kind, owner)
        self._seen.add(uid)
        if waiting is None:
            self._waiting.pop(uid, None)
            return None
        self._enter(waiting)
        return waiting.slot

    def forget(self, owner: Scheduled) -> None:
        """The object is gone."""
        self._waiting.pop(owner.metadata.uid, None)
        self._seen.discard(owner.metadata.uid)

    async def run(self) -> None:
        """Start what is due, for ever."""
        enrol("scheduler")
        while True:
            await attempt("scheduler", self.start_due)
            await asyncio.sleep(TICK_S)

    async def start_due(self) -> None:
        """Start each slot that is due; one that fails is tried again later, and holds up no other."""
        moment, room = now(), asyncio.Semaphore(AT_ONCE)
        entries = []
        while self._heap and self._heap[0][0] <= moment:
            entries.append(heapq.heappop(self._heap))
        await asyncio.gather(*(self._start_one(uid, slot, room) for _, uid, slot in entries))

    async def _start_one(self, uid: str, slot: datetime, room: asyncio.Semaphore) -> None:
        async with room:
            waiting = self._waiting.get(uid)
            if waiting is None or waiting.slot != slot or not waiting.timing.is_due(slot, now()):
                return  # edited: what it waits for now has an entry of its own
            if not await attempt("scheduler", partial(self._pass_or_forget, waiting)):
                heapq.heappush(self._heap, (now() + RETRY, uid, slot))

    def _expected(self, kind: Kind[Any], owner: Scheduled) -> _Waiting | None:
        timing = Timing.of(owner.spec, owner.metadata.uid)
        if timing is None:
            return None
        try:
            return _Waiting(SCHEDULED[kind.plural], owner, timing, self._slot(owner, timing))
        except SpecInvalid:
            return None  # the object's condition tells

    def _slot(self, owner: Scheduled, timing: Timing) -> datetime:
        """The slot to wait for. It has passed only when it came while no operator ran."""
        known = self._waiting.get(owner.metadata.uid)
        if known is not None and (known.timing.schedule, known.timing.time_zone) == (timing.schedule, timing.time_zone):
            return known.slot
        promised: datetime | None = owner.status.next_schedule_time
        if owner.metadata.uid not in self._seen and promised is not None and timing.has_slot(promised):
            return promised
        return timing.next_slot(now())

    async def _pass_or_forget(self, waiting: _Waiting) -> None:
        """Pass the slot, or give up an object that was deleted unseen."""
        try:
            await self._pass(waiting)
        except (Absent, Conflict):
            kind, meta = waiting.kind.kind, waiting.owner.metadata
            there = await self._context.catalog.read(kind, meta.namespace, meta.name)
            if there is not None and there.metadata.uid == meta.uid:
                raise
            self.forget(waiting.owner)
            self._context.catalog.drop(kind, waiting.owner)

    async def _pass(self, waiting: _Waiting) -> None:
        """Run the slot that is due, count those that are missed, and wait for the next one."""
        found = due(waiting.timing, waiting.slot, now())
        started = found.run is not None and await self._start(waiting, found.run)
        missed = found.missed + (0 if started or found.run is None else 1)
        if found.run is None and found.missed:
            await self._warn(waiting, waiting.slot, "SlotsMissed", f"{found.missed} slots were not started in time.")
        # Before the status: its change makes the object seen again, which asks for the slot.
        self._move(waiting, waiting.slot, found.following)
        try:
            await self._tell(waiting, found.run if started else None, found.following, missed)
        except BaseException:
            self._move(waiting, found.following, waiting.slot)
            raise
        self._push(waiting, found.following)

    def _move(self, waiting: _Waiting, slot: datetime, following: datetime) -> None:
        """Go from one slot to another, unless the object has been edited, suspended or deleted meanwhile."""
        uid = waiting.owner.metadata.uid
        current = self._waiting.get(uid)
        if current is not None and (current.timing, current.slot) == (waiting.timing, slot):
            self._waiting[uid] = replace(current, slot=following)

    async def _start(self, waiting: _Waiting, slot: datetime) -> bool:
        """Create the slot's run object; False when the slot is missed for a reason that an event tells."""
        meta = waiting.owner.metadata
        name = slot_run_name(meta.name, slot)
        if running := self._in_the_way(waiting, name):
            message = f"The slot {timestamp(slot)} was left out, because {running} has not ended."
            await self._warn(waiting, slot, "SlotForbidden", message)
            return False
        body = waiting.kind.run_object(waiting.owner, slot, name)
        path = objects_path(waiting.kind.run_kind, meta.namespace)
        try:
            await self._context.kube.create(path, body)
        except Conflict:
            there = waiting.kind.run_kind.model.read(await self._context.kube.get(f"{path}/{name}"))
            if waiting.kind.is_run_of(there, waiting.owner, slot):
                return True
            message = f"{waiting.kind.run_kind.name} {name} exists and is no run of this slot. Delete or rename it."
            await self._warn(waiting, slot, "SlotNameTaken", message)
            return False
        log.info("Slot started", extra={"action": "slot_started", "namespace": meta.namespace, "run": name})
        return True

    def _in_the_way(self, waiting: _Waiting, name: str) -> str | None:
        """The open run that forbids another one."""
        if waiting.owner.spec.concurrency_policy == "Allow":
            return None
        meta, scheduled = waiting.owner.metadata, waiting.kind
        return next(
            (
                run.metadata.name
                for run in self._context.catalog.all(scheduled.run_kind)
                if run.metadata.namespace == meta.namespace
                and run.metadata.name != name
                and scheduled.owner_of(run) == meta.name
            ),
            None,
        )

    async def _tell(self, waiting: _Waiting, slot: datetime | None, following: datetime, missed: int) -> None:
        def change(current: Scheduled) -> Any:
            status = current.status
            update = {"next_schedule_time": following, "missed_schedules": status.missed_schedules + missed}
            if slot is not None:
                update["last_schedule_time"] = slot
            return status.model_copy(update=update)

        await change_status(self._context.kube, waiting.kind.kind, waiting.owner, change)

    async def _warn(self, waiting: _Waiting, slot: datetime, reason: str, message: str) -> None:
        meta = waiting.owner.metadata
        log.warning("%s", message, extra={"action": "slot_missed", "namespace": meta.namespace, "object": meta.name})
        name = f"{slot_run_name(meta.name, slot)}.{meta.uid}"
        owner, kind = waiting.owner, waiting.kind.kind
        await events.post(
            self._context.kube, kind, owner, name=name, at=now(), reason=reason, message=message, warning=True
        )

    def _enter(self, waiting: _Waiting) -> None:
        uid = waiting.owner.metadata.uid
        known = self._waiting.get(uid)
        self._waiting[uid] = waiting
        if known is None or (known.slot, known.timing.delay) != (waiting.slot, waiting.timing.delay):
            self._push(waiting, waiting.slot)

    def _push(self, waiting: _Waiting, slot: datetime) -> None:
        heapq.heappush(self._heap, (slot + waiting.timing.delay, waiting.owner.metadata.uid, slot))
