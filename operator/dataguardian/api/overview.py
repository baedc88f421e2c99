"""``GET /api/dashboard/overview``: all that a dashboard shows first, in one answer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from ..domain import overview as judged
from ..domain.executions import Attempt
from ..domain.overview import JobState
from ..errors import DataGuardianError
from ..history import History
from ..history import overview as history
from ..history.overview import Count, EndedCount, LocationUse, Namespaces
from . import overview_models as told
from .endpoints import Call, Endpoint
from .overview_jobs import jobs

log = logging.getLogger(__name__)

HALF_S = 2.5  # for each of the two sources, which are asked at once
ENDED_FOR_S = 10.0  # the age at which what ended is counted again
ENDED_LONGEST_S = 60.0  # and the age at which the counts are not shown any more
MOST_RUNNING, MOST, MOST_LOCATIONS = 50, 20, 100


@dataclass(frozen=True, kw_only=True)
class EndedCounts:
    """What ended in the last days, of all namespaces."""

    counts: Sequence[EndedCount]
    as_of: datetime


async def read_ended(source: History) -> EndedCounts:
    """Count it. Raises HistoryUnavailable or ConfigInvalid."""
    now = datetime.now(UTC)
    async with source.connection(limit_s=HALF_S) as connection:
        return EndedCounts(counts=await history.ended(connection, now=now), as_of=now)


async def show(call: Call) -> told.Overview:
    """The overview of the namespaces that the caller may know of."""
    namespaces = await call.caller.namespaces("dashboard.read", call.query.namespace)
    halves: Mapping[told.Half, Any] = {
        "history": _of_history(call, namespaces),
        "kubernetes": _of_jobs(call, namespaces),
    }
    answers = await asyncio.gather(*(_known(half, asking) for half, asking in halves.items()))
    known = {name: value for answer in answers if answer for name, value in answer.items()}
    unavailable = [half for half, answer in zip(halves, answers, strict=True) if answer is None]
    parts = told.Overview.model_fields.keys() - {"unavailable"}
    return told.Overview(unavailable=unavailable, **dict.fromkeys(parts) | known)


async def _known(half: told.Half, asking: Any) -> dict[str, Any] | None:
    """The parts that one source gives; None when it does not in time: half an overview is better than none."""
    try:
        async with asyncio.timeout(HALF_S):
            parts: dict[str, Any] = await asking
            return parts
    except (DataGuardianError, TimeoutError) as error:
        extra = {"action": "overview_partial", "source": half, "reason": str(error) or f"not within {HALF_S} s"}
        log.warning("The overview lacks a part", extra=extra)
        return None


async def _of_history(call: Call, namespaces: Namespaces) -> dict[str, Any]:
    ended = await call.state.ended.get()
    async with call.state.clients.history.connection(limit_s=HALF_S) as connection:
        return {
            "executions": _executions(await history.unfinished(connection, namespaces), ended, namespaces),
            "running": await history.running(connection, told.Running, namespaces, limit=MOST_RUNNING),
            "failures": await history.failures(connection, told.Failure, namespaces, limit=MOST),
            "storage": _storage(await history.location_uses(connection, namespaces)),
        }


async def _of_jobs(call: Call, namespaces: Namespaces) -> dict[str, Any]:
    now = datetime.now(UTC)
    found = jobs(call.state, namespaces)
    coming = judged.coming(found, now=now)[:MOST]
    return {
        "jobs": _jobs(found, now),
        "recoverability": _recoverability(found),
        "next_runs": [told.NextRun(**_named(job), at=job.next_run) for job in coming],
    }


def _executions(unfinished: Iterable[Count], ended: EndedCounts, namespaces: Namespaces) -> told.Executions:
    now: dict[tuple[str, str], int] = {(each.operation, each.status): each.count for each in unfinished}
    day, week = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in ended.counts:
        if namespaces is None or each.namespace in namespaces:
            day[each.operation, each.status] += each.day
            week[each.operation, each.status] += each.week
    return told.Executions(
        now=[told.Unfinished(operation=each, **_by_state(now, each, told.Unfinished)) for each in get_args(Attempt)],
        last_24_hours=[told.Ended(operation=each, **_by_state(day, each, told.Ended)) for each in get_args(Attempt)],
        last_7_days=[told.Ended(operation=each, **_by_state(week, each, told.Ended)) for each in get_args(Attempt)],
        as_of=ended.as_of,
    )


def _by_state(
    counts: Mapping[tuple[str, str], int], operation: str, model: type[told.Unfinished | told.Ended]
) -> dict[str, int]:
    return {state: counts.get((operation, state), 0) for state in model.model_fields if state != "operation"}


def _storage(uses: Sequence[LocationUse]) -> told.Storage:
    return told.Storage(
        copies=sum(each.copies for each in uses),
        bytes=sum(each.bytes for each in uses),
        locations=[
            told.LocationUse(namespace=each.namespace, location=each.location, copies=each.copies, bytes=each.bytes)
            for each in uses[:MOST_LOCATIONS]
        ],
    )


def _jobs(found: Collection[JobState], now: datetime) -> told.Jobs:
    failing, overdue = judged.failing(found), judged.overdue(found, now=now)
    return told.Jobs(
        total=len(found),
        suspended=sum(job.suspended for job in found),
        failing=len(failing),
        overdue=len(overdue),
        newest_failing=[_failing(job) for job in failing[:MOST]],
        newest_overdue=[told.OverdueJob(**_named(job), due_at=job.next_run) for job in overdue[:MOST]],
    )


def _failing(job: JobState) -> told.FailingJob:
    said = job.ready
    return told.FailingJob(
        **_named(job), execution=job.last_run, failed_at=job.last_end, reason=said.reason, message=said.message
    )


def _recoverability(found: Collection[JobState]) -> told.RecoverabilityCounts:
    counts = Counter(job.recoverable.status for job in found if job.operation == "backup")
    return told.RecoverabilityCounts(
        recoverable=counts["True"],
        not_recoverable=counts["False"],
        unknown=counts["Unknown"],
        worst=[_unrecoverable(job) for job in judged.worst(found)[:MOST]],
    )


def _unrecoverable(job: JobState) -> told.UnrecoverableJob:
    said = job.recoverable
    return told.UnrecoverableJob(
        **_named(job),
        status=said.status,
        reason=said.reason,
        message=said.message,
        recoverable_to=job.recoverable_to,
    )


def _named(job: JobState) -> dict[str, Any]:
    return {"operation": job.operation, "namespace": job.namespace, "name": job.name}


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/dashboard/overview",
        permission="dashboard.read",
        summary="What runs, ended, failed, is due and is stored, and whether it can be brought back.",
        handler=show,
        query=told.OverviewQuery,
        answer=told.Overview,
    ),
)
