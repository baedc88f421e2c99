"""Executions: what ran, runs and waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from ..domain.executions import RUN_OF, Attempt, State
from ..errors import NotFound
from ..history import reading
from ..history.run_rows import Trigger
from ..resources.common import ObjectName
from ..workers.operations import RUN_KINDS
from .endpoints import Call, Endpoint
from .findings import Preview, Verification
from .models import Answer, AskedMoment, ListQuery, Moment, Page
from .paging import cut, moment_and_id

KNOWN_WITHIN_S = 3.5  # below an endpoint's limit: it is told who did not answer


class RunsQuery(ListQuery):
    """Which executions of one job."""

    status: State | None = Field(default=None, description="Only in this state.")
    trigger: Trigger | None = Field(default=None, description="Only those that this started.")
    since: AskedMoment | None = Field(default=None, description="Queued then or later; RFC 3339 with its zone.")
    until: AskedMoment | None = Field(default=None, description="Queued before; RFC 3339 with its zone.")


class ExecutionsQuery(RunsQuery):
    """Which executions."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    job: ObjectName | None = Field(default=None, description="Only of jobs of this name.")
    datasource: ObjectName | None = Field(
        default=None, description="Only of this Datasource; of a sync that is the target."
    )
    operation: Attempt | None = Field(default=None, description="Only of this operation.")


class Progress(Answer):
    """How far a running execution is."""

    step: str = Field(description="The step that is being done.")
    bytes: int = Field(description="Bytes of the dump read or written so far.")
    at: Moment = Field(description="When it was so far.")


class ExecutionPart(Answer):
    """Which execution it is."""

    id: UUID = Field(description="Its id.")
    operation: Attempt = Field(description="What it does.")
    namespace: str = Field(description="Namespace of its run object.")
    name: str = Field(description="Name of its run object.")
    job: str | None = Field(description="Job that it is a run of.")
    datasource: str | None = Field(description="Datasource; of a sync the target.")


class Execution(ExecutionPart):
    """One attempt at a backup, a restore, a verification or a sync."""

    source: str | None = Field(description="Source of a sync.")
    trigger: Trigger = Field(description="What started it.")
    status: State = Field(description="State.")
    queued_at: Moment = Field(description="When it was accepted.")
    started_at: Moment | None = Field(description="When its Kubernetes Job was made.")
    finished_at: Moment | None = Field(description="When it ended.")
    dump_bytes: int | None = Field(description="Bytes of the dump.")
    stored_bytes: int | None = Field(description="Bytes that were stored or read.")
    checksum: str | None = Field(description="Checksum of what is stored, `sha256:…`.")
    copies: list[dict[str, Any]] | None = Field(description="Copies of the backup.")
    progress: Progress | None = Field(description="How far it is; null unless it runs.")
    error_code: str | None = Field(description="Kind of failure; docs/errors.md has all.")
    error_message: str | None = Field(description="What happened.")


class ExecutionDetail(Execution):
    """One execution, with what a restore or a verification found."""

    dry_run: bool = Field(description="Whether it is a restore that changes nothing and tells what would happen.")
    verification: Verification | None = Field(description="What a verification found.")
    preview: Preview | None = Field(description="What a dry run found.")


class ExecutionPage(Page[Execution]):
    """A page of executions, newest first."""


async def list_executions(call: Call) -> ExecutionPage:
    """A page of the executions that the caller may know of."""
    query: ExecutionsQuery = call.query
    namespaces = await call.caller.namespaces("executions.read", query.namespace)
    return await page_of(call, reading.Filter(namespaces=namespaces, **query.values()), query.filters())


async def page_of(call: Call, wanted: reading.Filter, filters: Mapping[str, Any]) -> ExecutionPage:
    """A page of what is wanted; its ``continue`` is good for these filters only."""
    query: RunsQuery = call.query
    after = moment_and_id(query.continue_, filters)
    async with call.state.clients.history.connection() as connection:
        found = await reading.executions(connection, Execution, wanted, after=after, limit=query.limit + 1)
    page, more = cut(found, query.limit, filters, lambda each: (each.queued_at, each.id))
    return ExecutionPage(data=page, continue_=more)


async def show(call: Call) -> ExecutionDetail:
    """One execution."""
    return await known(call)


async def known(call: Call) -> ExecutionDetail:
    """The execution in the path. Raises NotFound also when the caller may not know of it: ids tell nothing then."""
    wanted = UUID(call.path("execution_id"))
    async with call.state.clients.history.connection(limit_s=KNOWN_WITHIN_S) as connection:
        found = await reading.execution(connection, ExecutionDetail, wanted)
    if found:
        call.about(RUN_KINDS[RUN_OF[found.operation]].kind.name, found.namespace, found.name)
    shown = await call.caller.shown("executions.read", found)
    if shown is None:
        raise NotFound(f"There is no execution {wanted}.", remedy="Look for it in GET /api/executions.")
    return shown


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/executions",
        permission="executions.read",
        summary="Executions, newest first.",
        handler=list_executions,
        query=ExecutionsQuery,
        answer=ExecutionPage,
    ),
    Endpoint(
        method="GET",
        path="/api/executions/{execution_id}",
        permission="executions.read",
        summary="One execution.",
        handler=show,
        answer=ExecutionDetail,
    ),
)
