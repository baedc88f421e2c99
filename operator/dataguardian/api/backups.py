"""Stored backups: what can be restored."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field, computed_field

from ..domain.restores import is_hold
from ..errors import NotFound
from ..history import stored_backups
from ..history.run_rows import Trigger
from ..history.stored_backups import Verified
from ..resources.backup import CopyState
from ..resources.common import ObjectName
from .endpoints import Call, Endpoint
from .models import Answer, AskedMoment, ListQuery, Moment, Page
from .paging import cut, moment_and_id


class BackupsQuery(ListQuery):
    """Which backups."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    job: ObjectName | None = Field(default=None, description="Only of BackupJobs of this name.")
    datasource: ObjectName | None = Field(default=None, description="Only of this Datasource.")
    since: AskedMoment | None = Field(default=None, description="With data of then or later; RFC 3339 with its zone.")
    until: AskedMoment | None = Field(default=None, description="With data of before; RFC 3339 with its zone.")
    verified: Verified | None = Field(
        default=None, description="Only those of which the latest verification found this; `never`: there was none."
    )
    location: ObjectName | None = Field(default=None, description="Only with a stored copy in this StorageLocation.")


class BackupCopy(Answer):
    """A backup in one storage location."""

    location: str = Field(description="StorageLocation.")
    key: str = Field(description="Key of the manifest inside the location.")
    state: CopyState = Field(description="Stored, Failed (never written), Missing or Removed.")
    reason: str | None = Field(default=None, description="Why it is not stored.")


class Backup(Answer):
    """A completed backup of which at least one copy is stored."""

    execution_id: UUID = Field(description="Id of the execution that stored it.")
    namespace: str = Field(description="Namespace of its BackupExecution.")
    name: str = Field(description="Name of its BackupExecution.")
    job: str | None = Field(description="BackupJob.")
    datasource: str | None = Field(description="Datasource that was backed up; null where an import does not tell.")
    trigger: Trigger = Field(description="What started it; `import` was found in a location.")
    engine_version: str | None = Field(description="Version of the database server.")
    data_at: Moment = Field(description="Moment of the data; when the run began where that is not known.")
    finished_at: Moment = Field(description="When it was complete.")
    dump_bytes: int | None = Field(description="Bytes of the dump before compression.")
    stored_bytes: int | None = Field(description="Bytes of the stored dump.")
    checksum: str | None = Field(description="Checksum of the stored dump, `sha256:…`.")
    copies: list[BackupCopy] = Field(description="Where it is, and where not.")
    kept_by: list[str] = Field(description="Rules of retention and restores that keep it, as last judged.")
    verification: Literal["passed", "failed"] | None = Field(
        description="What its latest verification found; null when there was none."
    )
    verification_at: Moment | None = Field(description="When that ended.")

    @computed_field(description="Whether a restore keeps it, whatever retention says.")  # type: ignore[prop-decorator]  # as pydantic's documentation says
    @property
    def held(self) -> bool:
        """Whether a restore keeps it."""
        return any(map(is_hold, self.kept_by))


class BackupPage(Page[Backup]):
    """A page of stored backups, that of the newest data first."""


async def list_backups(call: Call) -> BackupPage:
    """A page of the stored backups that the caller may know of."""
    query: BackupsQuery = call.query
    namespaces = await call.caller.namespaces("backups.read", query.namespace)
    filters = query.filters()
    after = moment_and_id(query.continue_, filters)
    wanted = stored_backups.Filter(namespaces=namespaces, **query.values())
    async with call.state.clients.history.connection() as connection:
        found = await stored_backups.backups(connection, Backup, wanted, after=after, limit=query.limit + 1)
    page, more = cut(found, query.limit, filters, lambda each: (each.data_at, each.execution_id))
    return BackupPage(data=page, continue_=more)


async def show(call: Call) -> Backup:
    """One stored backup. Raises NotFound also when the caller may not know of it: ids tell nothing then."""
    wanted = UUID(call.path("execution_id"))
    async with call.state.clients.history.connection() as connection:
        found = await stored_backups.backup(connection, Backup, wanted)
    shown = await call.caller.shown("backups.read", found)
    if shown is None:
        raise NotFound(f"There is no stored backup {wanted}.", remedy="Look for it in GET /api/backups.")
    return shown


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/backups",
        permission="backups.read",
        summary="Stored backups, that of the newest data first.",
        handler=list_backups,
        query=BackupsQuery,
        answer=BackupPage,
    ),
    Endpoint(
        method="GET",
        path="/api/backups/{execution_id}",
        permission="backups.read",
        summary="One stored backup.",
        handler=show,
        answer=Backup,
    ),
)
