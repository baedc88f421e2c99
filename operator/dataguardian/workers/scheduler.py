"""One heap of due times over all BackupJobs; a slot's run object has one name, so that it runs once."""

from __future__ import annotations

import asyncio
import heapq
import logging
from datetime import datetime
from functools import partial

from ..domain.naming import slot_run_name
from ..domain.schedule import next_slot
from ..errors import SpecInvalid
from ..kube.client import Absent, Conflict, objects_path
from ..kube.status import change_status
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from ..resources.common import API_VERSION, timestamp
from .context import Context, now
from .loop import attempt

log = logging.getLogger(__name__)

TICK_S = 1.0
RETRY_S = 5.0


class Scheduler:
    """The due times. Entries of changed or deleted jobs are dropped when their time comes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heap: list[tuple[datetime, str]] = []
        self._slots: dict[str, tuple[datetime, BackupJob]] = {}

    def next_time(self, job: BackupJob) -> datetime | None:
        """The slot that the job waits for; None without a schedule, or while it is suspended."""
        spec = job.spec
        if spec.schedule is None or spec.suspend:
            self._slots.pop(job.metadata.uid, None)
            return None
        known = self._slots.get(job.metadata.uid)
        if known and _timing(known[1]) == _timing(job):
            self._slots[job.metadata.uid] = (known[0], job)
            return known[0]
        try:
            slot = next_slot(spec.schedule, spec.time_zone, now())
        except SpecInvalid:
            return None  # the job's condition tells
        self._enter(job, slot)
        return slot

    def forget(self, job: BackupJob) -> None:
        """The job is gone."""
        self._slots.pop(job.metadata.uid, None)

    async def run(self) -> None:
        """Start what is due, for ever."""
        while True:
            await self.start_due()
            await asyncio.sleep(TICK_S)

    async def start_due(self) -> None:
        """Start each slot that is due; one that fails is tried again later, and holds up no other."""
        failed = []
        while self._heap and self._heap[0][0] <= now():
            slot, uid = heapq.heappop(self._heap)
            known = self._slots.get(uid)
            if known is None or known[0] != slot:
                continue
            if not await attempt("scheduler", partial(self._run_slot, known[1], slot)):
                failed.append((slot, uid))
        for entry in failed:
            heapq.heappush(self._heap, entry)
        if failed:
            await asyncio.sleep(RETRY_S)

    async def _run_slot(self, job: BackupJob, slot: datetime) -> None:
        await self._start(job, slot)
        following = next_slot(job.spec.schedule or "", job.spec.time_zone, max(slot, now()))
        self._enter(job, following)
        await self._tell(job, slot, following)

    async def _start(self, job: BackupJob, slot: datetime) -> None:
        meta = job.metadata
        body = {
            "apiVersion": API_VERSION,
            "kind": BACKUP_EXECUTION.name,
            "metadata": {"name": slot_run_name(meta.name, slot), "namespace": meta.namespace},
            "spec": {
                "backupJobRef": {"name": meta.name},
                "trigger": "Schedule",
                "scheduledTime": timestamp(slot),
            },
        }
        try:
            await self._context.kube.create(objects_path(BACKUP_EXECUTION, meta.namespace), body)
        except Conflict:
            return  # the slot has its run
        except Absent:
            return  # the namespace is gone
        log.info("Slot started", extra={"action": "slot_started", "namespace": meta.namespace, "job": meta.name})

    async def _tell(self, job: BackupJob, slot: datetime, following: datetime) -> None:
        await change_status(
            self._context.kube,
            BACKUP_JOB,
            job,
            lambda current: current.status.model_copy(
                update={"last_schedule_time": slot, "next_schedule_time": following}
            ),
        )

    def _enter(self, job: BackupJob, slot: datetime) -> None:
        self._slots[job.metadata.uid] = (slot, job)
        heapq.heappush(self._heap, (slot, job.metadata.uid))


def _timing(job: BackupJob) -> tuple[str | None, str]:
    return job.spec.schedule, job.spec.time_zone
