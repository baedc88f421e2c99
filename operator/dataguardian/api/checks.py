"""The latest check of each Datasource and StorageLocation, from their statuses, and the changes before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from ..domain.health import Health
from ..history import health_checks
from ..resources.common import ObjectName
from .checked import Checked
from .endpoints import Call, Endpoint
from .models import Answer, AskedMoment, ListQuery, Moment, Page
from .paging import cut, moment_and_id, place_of


class ChecksQuery(ListQuery):
    """Which objects."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    status: Health | None = Field(default=None, description="Only those that are so.")


class HealthChangesQuery(ListQuery):
    """Which changes."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    kind: Literal["Datasource", "StorageLocation"] | None = Field(default=None, description="Only of this kind.")
    name: ObjectName | None = Field(default=None, description="Only of objects of this name.")
    status: Health | None = Field(default=None, description="Only those to this status.")
    since: AskedMoment | None = Field(default=None, description="Then or later; RFC 3339 with its zone.")
    until: AskedMoment | None = Field(default=None, description="Before; RFC 3339 with its zone.")


class Check(Answer):
    """What the last check of an object found."""

    id: str = Field(description="`<namespace>.<name>`.")
    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    status: Health = Field(description="up, degraded (slow, or full), down, or unknown (not checked yet).")
    reason: str | None = Field(description="Why, as a word: the reason of its condition Ready.")
    message: str | None = Field(description="Why, and what to do about it.")
    checked_at: Moment | None = Field(description="When the last check ended.")
    since: Moment | None = Field(description="Since when it is usable, or is not: its condition Ready changed then.")


class DatasourceCheck(Check):
    """A Datasource."""

    latency_ms: int | None = Field(description="Time of a login and a query, in milliseconds.")
    server_version: str | None = Field(description="Version that the server reports.")


class StorageCheck(Check):
    """A StorageLocation. How much room is left, no check can tell."""

    backups: int | None = Field(description="Backups of its namespace that the last listing found.")
    stored_bytes: int | None = Field(description="Bytes of these backups.")


class DatasourceCheckPage(Page[DatasourceCheck]):
    """A page of Datasources, by namespace and name."""


class StorageCheckPage(Page[StorageCheck]):
    """A page of StorageLocations, by namespace and name."""


class HealthChange(Answer):
    """From when on an object was how."""

    id: UUID = Field(description="Its id.")
    at: Moment = Field(description="When the check ended that found it so.")
    kind: Literal["Datasource", "StorageLocation"] = Field(description="Kind of the object.")
    namespace: str = Field(description="Namespace of the object.")
    name: str = Field(description="Name of the object.")
    status: Health = Field(description="up, degraded or down.")
    reason: str = Field(description="Why, as a word.")
    message: str = Field(description="Why, and what to do about it.")


class HealthChangePage(Page[HealthChange]):
    """A page of changes, newest first."""


async def list_datasources(call: Call) -> DatasourceCheckPage:
    """The Datasources that the caller may know of."""
    found, more = await _page(call, call.state.datasources.get)
    checks = [
        DatasourceCheck(**_common(each), latency_ms=each.status.latency_ms, server_version=each.status.server_version)
        for each in found
    ]
    return DatasourceCheckPage(data=checks, continue_=more)


async def list_storage(call: Call) -> StorageCheckPage:
    """The StorageLocations that the caller may know of."""
    found, more = await _page(call, call.state.storage.get)
    checks = [
        StorageCheck(**_common(each), backups=each.status.backups, stored_bytes=each.status.stored_bytes)
        for each in found
    ]
    return StorageCheckPage(data=checks, continue_=more)


async def list_changes(call: Call) -> HealthChangePage:
    """How the objects were that the caller may know of."""
    query: HealthChangesQuery = call.query
    namespaces = await call.caller.namespaces("health.read", query.namespace)
    filters = query.filters()
    after = moment_and_id(query.continue_, filters)
    wanted = health_checks.Filter(namespaces=namespaces, **query.values())
    async with call.state.clients.history.connection() as connection:
        found = await health_checks.changes(connection, HealthChange, wanted, after=after, limit=query.limit + 1)
    page, more = cut(found, query.limit, filters, lambda each: (each.at, each.id))
    return HealthChangePage(data=page, continue_=more)


async def _page(call: Call, listed: Callable[[], Awaitable[list[Checked]]]) -> tuple[list[Checked], str | None]:
    """The objects of a page, and the token of the next one."""
    query: ChecksQuery = call.query
    namespaces = await call.caller.namespaces("health.read", query.namespace)
    filters = query.filters()
    place = place_of(query.continue_, filters, shape=(str, str))
    wanted = (
        each
        for each in await listed()
        if (namespaces is None or each.metadata.namespace in namespaces)
        and query.status in (None, each.found)
        and (place is None or each.key > tuple(place))
    )
    return cut(list(islice(wanted, query.limit + 1)), query.limit, filters, lambda each: each.key)


def _common(checked: Checked) -> dict[str, Any]:
    meta, ready = checked.metadata, checked.ready
    return {
        "id": f"{meta.namespace}.{meta.name}",
        "namespace": meta.namespace,
        "name": meta.name,
        "status": checked.found,
        "reason": ready.reason if ready else None,
        "message": ready.message if ready else None,
        "checked_at": checked.status.last_checked_time,
        "since": ready.last_transition_time if ready else None,
    }


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/health/datasources",
        permission="health.read",
        summary="The latest check of each Datasource.",
        handler=list_datasources,
        query=ChecksQuery,
        answer=DatasourceCheckPage,
    ),
    Endpoint(
        method="GET",
        path="/api/health/storage",
        permission="health.read",
        summary="The latest check of each StorageLocation.",
        handler=list_storage,
        query=ChecksQuery,
        answer=StorageCheckPage,
    ),
    Endpoint(
        method="GET",
        path="/api/health/history",
        permission="health.read",
        summary="When Datasources and StorageLocations went up and down, newest first.",
        handler=list_changes,
        query=HealthChangesQuery,
        answer=HealthChangePage,
    ),
)
