"""What lists of BackupJobs and of DatabaseSyncJobs share: the page, the filters, who may know of a job."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from pydantic import Field

from ..domain.conditions import READY
from ..domain.executions import State
from ..errors import NotFound
from ..kube.client import Absent, objects_path
from ..resources.common import Kind, ObjectName
from .endpoints import Call
from .job_objects import JobObject
from .models import Answer, Asked, ListQuery, Moment
from .paging import cut, place_of
from .permissions import Permission
from .watched import Watched

JobT = TypeVar("JobT", bound=JobObject)
# By the name of a filter: the values of a job of which one must be what is asked for.
Filters = Mapping[str, Callable[[JobT], Collection[Any]]]


class JobsQuery(ListQuery):
    """Which jobs."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    suspended: bool | None = Field(default=None, description="Only those that are suspended, or that are not.")
    ready: bool | None = Field(
        default=None, description="Only those whose last run went well, or did not; one that never ran is in neither."
    )


class RunAsked(Asked):
    """A run of a job: there is nothing to say about it."""


class LastExecution(Answer):
    """The latest run that ended."""

    name: str = Field(description="Name of its run object.")
    status: State = Field(description="How it ended.")
    finished_at: Moment | None = Field(description="When it ended.")


class Job(Answer):
    """What jobs of both kinds tell."""

    id: str = Field(description="`<namespace>.<name>`.")
    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    schedule: str | None = Field(description="Five cron fields, or a word such as @daily; null for manual runs only.")
    time_zone: str = Field(description="IANA time zone of the schedule.")
    suspended: bool = Field(description="Whether scheduled runs are held back.")
    ready: bool | None = Field(description="Whether the last run went well; null before the first one.")
    reason: str | None = Field(description="Why, in one word.")
    message: str | None = Field(description="Why, and what to do about it.")
    last_schedule_at: Moment | None = Field(description="The latest slot that was run.")
    next_schedule_at: Moment | None = Field(description="The slot that comes next.")
    missed_schedules: int = Field(description="Slots that did not run, since ever.")
    last_success_at: Moment | None = Field(description="When the latest good run ended.")
    last_execution: LastExecution | None = Field(description="The latest run that ended.")


def common_of(job: JobObject) -> dict[str, Any]:
    """The fields of Job."""
    (namespace, name), spec, status = job.key, job.spec, job.status
    ready = status.condition(READY)
    last = status.last_execution
    return {
        "id": f"{namespace}.{name}",
        "namespace": namespace,
        "name": name,
        "schedule": spec.schedule,
        "time_zone": spec.time_zone,
        "suspended": spec.suspend,
        "ready": job.ready,
        "reason": ready.reason if ready else None,
        "message": ready.message if ready else None,
        "last_schedule_at": status.last_schedule_at,
        "next_schedule_at": status.next_schedule_at,
        "missed_schedules": status.missed_schedules,
        "last_success_at": status.last_success_at,
        "last_execution": LastExecution.model_validate(last, from_attributes=True) if last else None,
    }


async def page_of(
    call: Call, permission: Permission, watched: Watched[JobT], filters: Filters[JobT]
) -> tuple[list[JobT], str | None]:
    """A page of the jobs that the caller may know of, by namespace and name, and the token of the next one."""
    query: JobsQuery = call.query
    namespaces = await call.caller.namespaces(permission, query.namespace)
    asked = query.filters()
    place = place_of(query.continue_, asked, shape=(str, str))
    after = (place[0], place[1]) if place else None
    values = {name: getattr(query, name) for name in asked if name != "namespace"}
    found = heapq.nsmallest(
        query.limit + 1,
        (
            job
            for key, job in watched.current().items()
            if (namespaces is None or key[0] in namespaces)
            and (after is None or key > after)
            and all(value in filters[name](job) for name, value in values.items())
        ),
        key=lambda job: job.key,
    )
    return cut(found, query.limit, asked, lambda job: job.key)


async def known(call: Call, permission: Permission, watched: Watched[JobT]) -> JobT:
    """The job in the path. Raises NotFound also when the caller may not know of it: ids tell nothing then."""
    if not await call.caller.may(permission, call.job[0]):
        raise unknown(call)
    job = watched.current().get(call.job)
    if job is None:
        raise unknown(call)
    return job


async def demand_run(call: Call, *, read: Permission, run: Permission, kind: Kind[Any]) -> None:
    """Whether the caller may run the job in the path, which the API server has now.

    Raises NotFound when it is not there or when they may not know of it; Forbidden when they may not run it.
    """
    namespace, name = call.job
    if not await call.caller.may(read, namespace):
        raise unknown(call)
    try:
        await call.state.clients.kube.get(objects_path(kind, namespace, name))
    except Absent:
        raise unknown(call) from None
    await call.caller.demand(run, namespace)


def unknown(call: Call) -> NotFound:
    """What is told of a job that is not there for the caller."""
    return NotFound(f"There is no job {call.path('job_id')}.", remedy="Look for it in the list of jobs.")
