"""Restores and verifications of a backup: ``POST /api/backups/{execution_id}/restore``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from ..domain.phrases import is_phrase
from ..domain.restores import stored_copies
from ..errors import NoCopyAvailable, NotFound, SpecInvalid
from ..history import reading
from ..kube.client import Absent, objects_path
from ..resources.backup import BACKUP_EXECUTION, BackupExecution
from ..resources.common import ObjectReference
from ..resources.datasource import ExpectedTarget
from ..resources.restore import (
    RESTORE_PHRASE,
    VERIFICATION_TARGET_HELP,
    VERIFY_PHRASE,
    RestoreRequestSpec,
    VerificationTarget,
)
from .endpoints import OBJECT_ID, Call, Endpoint, Reply
from .executions import Execution
from .models import Asked
from .permissions import Permission
from .refusals import ConfirmationRequired, NotPossible
from .starting import started

ObjectId = Annotated[str, Field(max_length=317, pattern=f"^{OBJECT_ID}$")]  # of an object: namespace, dot and name


class Expected(ExpectedTarget):
    """What the database must be that the target leads to, or nothing is written to it: one field at least."""

    model_config = ConfigDict(alias_generator=str, extra="forbid", json_schema_extra=None)


class RestoreAsked(Asked):
    """How a backup shall come back, or be proven. Which fields go together the kind RestoreRequest tells."""

    # Strict: "false" is no boolean where true replaces a database.
    model_config = ConfigDict(strict=True)

    confirmation_phrase: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description=f"`{RESTORE_PHRASE}`, or `{VERIFY_PHRASE}` with verification_mode; accents, case and extra spaces "
        "do not matter. A dry run needs none.",
    )
    verification_mode: bool = Field(
        default=False,
        description="Restore into a temporary database, compare it with what was backed up, and remove it.",
    )
    keep_verification_database: bool = Field(
        default=False, description="Leave the temporary database; its name stands in the execution's verification."
    )
    verification_target: VerificationTarget = Field(default="Datasource", description=VERIFICATION_TARGET_HELP)
    target_datasource_id: ObjectId | None = Field(
        default=None,
        description="`<namespace>.<name>` of the Datasource that is written to, in the namespace of the backup; the "
        "one that was backed up when absent.",
    )
    storage_location_id: ObjectId | None = Field(
        default=None,
        description="`<namespace>.<name>` of the StorageLocation whose copy is read; the best available one when "
        "absent.",
    )
    drop_existing: bool = Field(
        default=False,
        description="Replace the tables of the backup that exist in the target. Without it the target must be empty.",
    )
    safety_backup: bool = Field(
        default=False,
        description="Back up the target first. That backup is kept until the RestoreRequest is confirmed or deleted.",
    )
    dry_run: bool = Field(default=False, description="Tell in `preview` what would happen, and change nothing.")
    expected_target: Expected | None = Field(
        default=None, description="What the target must be; the restore is refused when it is another one."
    )

    @property
    def phrase(self) -> str | None:
        """The phrase that confirms it; None for what needs none."""
        if self.dry_run:
            return None
        return VERIFY_PHRASE if self.verification_mode else RESTORE_PHRASE

    @property
    def action(self) -> str:
        """What the audit log calls it."""
        if self.dry_run:
            return "backup.preview"
        return "backup.verify" if self.verification_mode else "backup.restore"

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """One of them is enough, as the chart's admission policies see it: a kept copy elsewhere has other readers."""
        elsewhere = self.keep_verification_database and self.target_datasource_id is not None
        if self.dry_run or (self.verification_mode and not elsewhere):
            return ("backups.restore_verify", "backups.restore")
        return ("backups.restore",)


async def restore(call: Call) -> Reply:
    """Make the RestoreRequest as the caller. Raises what ``started`` raises, and why it cannot be made."""
    asked: RestoreAsked = call.body
    backup = await _allowed(call, asked)
    namespace = backup.namespace
    location = _beside(asked.storage_location_id, "storage_location_id", namespace)
    spec = RestoreRequestSpec(
        backup_execution_ref=ObjectReference(name=backup.name),
        storage_location_ref=location,
        target_datasource_ref=_beside(asked.target_datasource_id, "target_datasource_id", namespace),
        confirmation_phrase=asked.phrase,
        expected_target=ExpectedTarget(**dict(asked.expected_target)) if asked.expected_target else None,
        verification_mode=asked.verification_mode,
        keep_verification_database=asked.keep_verification_database,
        verification_target=asked.verification_target,
        drop_existing=asked.drop_existing,
        safety_backup=asked.safety_backup,
        dry_run=asked.dry_run,
    )
    entry = await _completed(call, backup, location.name if location else None)
    _confirmed(asked)
    prefix = entry.spec.backup_job_ref.name
    return await started(call, "restore", namespace=namespace, prefix=prefix, spec=spec.wire())


async def _allowed(call: Call, asked: RestoreAsked) -> Execution:
    """The backup in the path. Raises Forbidden, or NotFound when the caller may not even know of it."""
    wanted = UUID(call.path("execution_id"))
    async with call.state.clients.history.connection() as connection:
        found = await reading.execution(connection, Execution, wanted)
    if found:
        call.about(BACKUP_EXECUTION.name, found.namespace, found.name, action=asked.action)
    # Asked in any case, so that an id that nobody has takes as long as one that is somebody else's.
    namespace, name = (found.namespace, found.name) if found else ("", "")
    allowed = [await call.caller.may(permission, namespace, name) for permission in asked.permissions]
    known = await call.caller.may("backups.read", namespace)
    if found is None or found.operation != "backup" or not (known or any(allowed)):
        raise NotFound(f"There is no backup {wanted}.", remedy="Look for it in GET /api/backups.")
    if not any(allowed):
        await call.caller.demand(asked.permissions[0], namespace, name)
    return found


def _beside(given: str | None, field: str, namespace: str) -> ObjectReference | None:
    """The object of this id. Raises SpecInvalid for one of another namespace than the backup's."""
    if given is None:
        return None
    where, _, name = given.partition(".")
    if where != namespace:
        raise SpecInvalid(
            f"{field}: {given!r} is in another namespace than the backup, which is in {namespace!r}.",
            remedy=f"Name one of that namespace: {namespace}.<name>.",
        )
    return ObjectReference(name=name)


async def _completed(call: Call, backup: Execution, location: str | None) -> BackupExecution:
    """The entry of the backup, with a stored copy (in the location, if one is named). Raises NotPossible."""
    another = "Restore another backup: GET /api/backups has all that can be restored."
    path = objects_path(BACKUP_EXECUTION, backup.namespace, backup.name)
    try:
        entry = BackupExecution.read(await call.state.clients.kube.get(path))
    except Absent:
        entry = None
    if entry is None or entry.execution_id != str(backup.id):
        raise NotPossible(
            f"BackupExecution {backup.name!r} was deleted: the catalogue has this backup no more.",
            remedy="Restore it by the key of its manifest, with spec.source of a RestoreRequest; see docs/restore.md.",
        )
    if entry.status.phase != "Completed":
        phase = (entry.status.phase or "Queued").lower()
        raise NotPossible(f"BackupExecution {backup.name!r} is {phase}, and not completed.", remedy=another)
    try:
        stored_copies(entry, location)
    except NoCopyAvailable as error:
        raise NotPossible(error.what, remedy=error.remedy) from error
    return entry


def _confirmed(asked: RestoreAsked) -> None:
    """Raise ConfirmationRequired unless the phrase was written."""
    if asked.phrase is None or is_phrase(asked.confirmation_phrase or "", asked.phrase):
        return
    effect = "verifies the backup in a temporary database" if asked.verification_mode else "changes the target database"
    wrong = "missing" if asked.confirmation_phrase is None else "another one"
    raise ConfirmationRequired(
        f"confirmation_phrase: the request {effect}, and the phrase that confirms it is {wrong}.",
        remedy=f"Send the phrase {asked.phrase!r}.",
        expected_phrase=asked.phrase,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/backups/{execution_id}/restore",
        permission="backups.restore",
        summary="Restore a backup; with verification_mode or dry_run `backups.restore_verify` is enough.",
        handler=restore,
        body=RestoreAsked,
        answer=Execution,
        status=HTTPStatus.ACCEPTED,
        action="backup.restore",
        idempotent=True,
        problems={
            HTTPStatus.CONFLICT: "The backup is not completed, or has no stored copy left.",
            HTTPStatus.UNPROCESSABLE_ENTITY: "A field is not as it must be, or the phrase that confirms is not the "
            "`expected_phrase`; the problem names it.",
        },
    ),
)
