"""A BackupJob's recoverability, kept true: when its backups, its spec or the proofs of them change, and when time alone
changes the judgement."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from ..domain.catalogue import Entry
from ..domain.conditions import RECOVERABLE
from ..domain.evidence import Evidence, evidence_of, is_about, verification
from ..domain.recoverability import assessed, next_change, turn
from ..kube import events
from ..kube.status import change_status
from ..resources import storage_location
from ..resources.backup import BACKUP_JOB, BackupExecutionStatus, BackupJob, BackupJobStatus
from ..resources.common import Condition
from ..resources.restore import RestoreRequest
from .context import Context, now
from .entry_status import change_entry
from .loop import attempt

log = logging.getLogger(__name__)

TICK_S = 1.0
AT_ONCE = 16  # jobs that are assessed
RETRY_S = 5.0

Key = tuple[str, str]  # namespace and name of a BackupJob


def note(context: Context, request: RestoreRequest) -> None:
    """A RestoreRequest exists, or has changed: what it found, if it has ended, is brought to the statuses soon."""
    found = evidence_of(request)
    if found is not None:
        context.unproven[request.metadata.uid] = found


def locations_changed(context: Context, namespace: str) -> None:
    """A StorageLocation is read from, or is not, as it was not before: its jobs may be others now."""
    for job in context.catalog.all(BACKUP_JOB):
        if job.metadata.namespace == namespace:
            context.unassessed[namespace, job.metadata.name] = None


def begun(context: Context, job: BackupJob) -> BackupJobStatus:
    """The status of a job that is judged for the first time, with its recoverability: thousands of new jobs need no
    second write of it."""
    entries, key = context.catalog.entries, (job.metadata.namespace, job.metadata.name)
    if not entries.loaded or any(condition.type == RECOVERABLE for condition in job.status.conditions):
        return job.status
    return assessed(job, entries.of_job(*key), now=now(), away=_away(context, key))


class Assessor:
    """The worker. A job costs nothing while nothing happens to it: the times at which it must be looked at are in a
    heap."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._times: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []  # also times that were replaced since

    async def step(self) -> None:
        """Assess the jobs that ask for it, some at once; those that fail ask again. A step of the worker
        ``recoverability``."""
        if not self._context.catalog.entries.loaded:
            return  # backups that are not known yet would be missed
        asked, failed = self._asked(), list[Key]()

        async def assess_some() -> None:
            while asked and len(failed) < AT_ONCE:  # more of them tell no more
                key = next(iter(asked))
                evidence = asked.pop(key)
                if not await attempt("recoverability", partial(self._assess, key, evidence)):
                    failed.append(key)
                await asyncio.sleep(0)  # thousands that need no write would keep all other workers waiting

        await asyncio.gather(*(assess_some() for _ in range(min(AT_ONCE, len(asked)))))
        self._context.unassessed.update(dict.fromkeys([*failed, *asked]))
        if failed:
            await asyncio.sleep(RETRY_S)

    def _asked(self) -> dict[Key, dict[str, Evidence]]:
        """The jobs that may have changed, each with what was found of its backups, by RestoreRequest."""
        moment, entries = now(), self._context.catalog.entries
        while self._heap and self._heap[0][0] <= moment:
            due, key = heapq.heappop(self._heap)
            if self._times.get(key) == due:
                self._context.unassessed[key] = None
        asked: dict[Key, dict[str, Evidence]] = {key: {} for key in (*self._context.unassessed, *entries.changed)}
        self._context.unassessed.clear()
        entries.changed.clear()
        for uid, found in self._context.unproven.items():
            asked.setdefault((found.namespace, found.job), {})[uid] = found
        return asked

    async def _assess(self, key: Key, evidence: Mapping[str, Evidence]) -> None:
        context = self._context
        for found in sorted(evidence.values(), key=lambda each: each.ended):
            await _tell_entry(context, found)
        # Evidence may come before its job has been seen.
        job = context.catalog.known(BACKUP_JOB, *key) or (
            await context.catalog.read(BACKUP_JOB, *key) if evidence else None
        )
        if job is None:
            self._times.pop(key, None)
        else:
            await self._tell_job(job, evidence)
        for uid, found in evidence.items():
            if context.unproven.get(uid) is found:
                del context.unproven[uid]

    async def _tell_job(self, job: BackupJob, evidence: Mapping[str, Evidence]) -> None:
        context, moment, key = self._context, now(), (job.metadata.namespace, job.metadata.name)
        entries = context.catalog.entries.of_job(*key)
        away = _away(context, key)
        turned: Condition | None = None

        def change(current: BackupJob) -> BackupJobStatus:
            nonlocal turned
            known = [found for found in evidence.values() if _is_of(context, found, current)]
            status = assessed(current, entries, known, now=moment, away=away)
            turned = turn(current.status.conditions, status.conditions)
            return status

        changed = await change_status(context.kube, BACKUP_JOB, job, change)
        if context.catalog.known(BACKUP_JOB, *key) is job:
            context.catalog.put(BACKUP_JOB, changed)
        self._look_at(key, next_change(changed, entries, now=moment))
        if turned is not None:
            await attempt("recoverability", partial(_post, context, changed, turned))

    def _look_at(self, key: Key, due: datetime | None) -> None:
        if due is None:
            self._times.pop(key, None)
        elif self._times.get(key) != due:
            self._times[key] = due
            heapq.heappush(self._heap, (due, key))


def _away(context: Context, key: Key) -> list[str]:
    """The locations with backups of the job that nothing can be read from."""
    found = {
        name: context.catalog.known(storage_location.KIND, key[0], name)
        for name in context.catalog.entries.locations(*key)
    }
    return [name for name, there in found.items() if there is None or there.status.phase == "Unreachable"]


def _entry_of(context: Context, found: Evidence) -> Entry | None:
    entry = context.catalog.entries.find(found.namespace, found.job, found.backup)
    return entry if entry is not None and is_about(found, entry) else None


def _is_of(context: Context, found: Evidence, job: BackupJob) -> bool:
    """Whether it counts for the job: one whose backup is gone may be of an earlier job of that name."""
    return found.ended >= job.metadata.creation_timestamp or _entry_of(context, found) is not None


async def _tell_entry(context: Context, found: Evidence) -> None:
    entry = _entry_of(context, found)
    if entry is None:
        return
    before = entry.verification, entry.judged, entry.verified
    if verification(found, *before) == before:
        return

    def change(status: BackupExecutionStatus) -> BackupExecutionStatus:
        last, judged, verified = verification(
            found, status.last_verification, status.last_verification_time, status.last_verified_time
        )
        update = {"last_verification": last, "last_verification_time": judged, "last_verified_time": verified}
        return status.model_copy(update=update)

    await change_entry(context, entry, change)


async def _post(context: Context, job: BackupJob, turned: Condition) -> None:
    """Tell that the condition has turned; the event's name says when, so that it is posted once."""
    meta, is_good = job.metadata, turned.status == "True"
    log.log(
        logging.INFO if is_good else logging.WARNING,
        "%s",
        turned.message,
        extra={
            "action": "recoverable" if is_good else "not_recoverable",
            "namespace": meta.namespace,
            "object": meta.name,
            "reason": turned.reason,
        },
    )
    moment = turned.last_transition_time
    await events.post(
        context.kube,
        BACKUP_JOB,
        job,
        name=f"{meta.name}.{meta.uid}.{moment:%Y%m%d%H%M%S}-{turned.status.lower()}",
        at=moment,
        reason=turned.reason if not is_good else RECOVERABLE,
        message=turned.message,
        warning=not is_good,
    )
