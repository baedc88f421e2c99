"""The audit log: who did what, to which object, and how it came out."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from ..history.audit import Outcome
from ..history.audit_reading import Filter, audit_rows
from ..resources.common import ObjectName
from .endpoints import Call, Endpoint
from .models import Answer, AskedMoment, ListQuery, Moment, Page
from .paging import cut, place_of

Word = Annotated[str, Field(max_length=512, pattern=r"^[^\x00]+$")]


class AuditQuery(ListQuery):
    """Which rows."""

    namespace: ObjectName | None = Field(default=None, description="Only of objects in this namespace.")
    who: Word | None = Field(default=None, description="Only of this user; `dataguardian` is the operator.")
    action: Word | None = Field(default=None, description="Only this action, e.g. `backup_job.run`.")
    object_kind: Word | None = Field(default=None, description="Only of objects of this kind, e.g. `BackupJob`.")
    object_name: Word | None = Field(default=None, description="Only of objects of this name.")
    outcome: Outcome | None = Field(default=None, description="Only with this outcome.")
    since: AskedMoment | None = Field(default=None, description="Done then or later; RFC 3339 with its zone.")
    until: AskedMoment | None = Field(default=None, description="Done before; RFC 3339 with its zone.")
    execution_id: UUID | None = Field(default=None, description="Only about this execution.")


class AuditLog(Answer):
    """One deed."""

    seq: int = Field(description="Its place in the log: 1 is the first, and none is left out.")
    id: UUID = Field(description="Its id.")
    at: Moment = Field(description="When it was done.")
    who: str = Field(description="User of the cluster; `dataguardian` is the operator.")
    action: str = Field(description="What was done, or asked for.")
    namespace: str = Field(description="Namespace of the object; empty when it is not known.")
    object_kind: str = Field(description="Kind of the object; empty when it is not known.")
    object_name: str = Field(description="Name of the object, or what the request named.")
    outcome: Outcome = Field(description="`refused`: it was not to be; `failed`: it was not possible.")
    detail: dict[str, Any] = Field(description="What else is known, by the action; docs/audit.md has all.")
    execution_id: UUID | None = Field(description="Execution that was made, or that it is about.")
    request_id: str | None = Field(description="Request that asked for it.")
    hash: str = Field(description="SHA-256 of the row and the one before it; docs/audit.md has the form.")


class AuditPage(Page[AuditLog]):
    """A page of the audit log, newest first."""


async def list_audit_logs(call: Call) -> AuditPage:
    """A page of the rows of the namespaces in which the caller may know of them."""
    query: AuditQuery = call.query
    namespaces = await call.caller.namespaces("audit.read", query.namespace)
    filters = query.filters()
    place = place_of(query.continue_, filters, shape=(int,))
    wanted = Filter(namespaces=namespaces, before=place[0] if place else None, **query.values())
    async with call.state.clients.history.connection() as connection:
        found = await audit_rows(connection, AuditLog, wanted, limit=query.limit + 1)
    page, more = cut(found, query.limit, filters, lambda each: (each.seq,))
    return AuditPage(data=page, continue_=more)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/audit-logs",
        permission="audit.read",
        summary="The audit log, newest first.",
        handler=list_audit_logs,
        query=AuditQuery,
        answer=AuditPage,
    ),
)
