"""Executions that are ended, and uploads that are tried again: both by their run objects, as the caller."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

from ..domain.executions import RUN_OF, TERMINAL
from ..domain.retries import refusal
from ..domain.status import is_terminal
from ..history import locks
from ..kube.client import Absent, Conflict, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from ..resources.common import Resource
from ..workers.operations import RUN_KINDS
from ..workers.rows import execution_id_of
from .endpoints import Call, Endpoint, Reply
from .executions import Execution, known
from .refusals import NotPossible
from .starting import accepted, key_of, made, name_of, over, reply_of

TRIES = 5


async def cancel(call: Call) -> Reply:
    """Ask for the end of an execution. Raises NotPossible when it has ended, or its run object is gone.

    To ask twice is to ask once, so that an Idempotency-Key is only checked for its form.
    """
    key_of(call)
    found = await _controlled(call)
    path = objects_path(RUN_KINDS[RUN_OF[found.operation]].kind, found.namespace, found.name)
    for _ in range(TRIES):
        run = await _run_of(call, found)
        if run.spec.cancel:  # also of one that has ended since: the answer may have been lost
            return reply_of(found)
        if is_terminal(run.status):
            raise _ended(found, run.status.phase)
        # Of this version alone: by the next one it may have ended, or be another object of the same name.
        body = {"metadata": {"resourceVersion": run.metadata.resource_version}, "spec": {"cancel": True}}
        with suppress(Conflict, Absent):
            await call.caller.kube.patch(path, body)
            return reply_of(found)
    raise Conflict(f"{found.namespace}/{found.name} changed {TRIES} times")


async def retry_upload(call: Call) -> Reply:
    """Try the upload of a failed backup again. Raises NotPossible when there is none to try, or somebody does."""
    found = await _controlled(call)
    await call.caller.demand("backup_jobs.run", found.namespace)
    if found.operation != "backup" or found.job is None:
        raise NotPossible(
            f"Execution {found.id} is a {found.operation}, no backup.",
            remedy="Only the upload of a failed backup is tried again.",
        )
    name = name_of(call, found.job)
    spec = {"backupJobRef": {"name": found.job}, "trigger": "Retry", "retryOf": found.name}
    if before := await over(call, "backup", found.namespace, name, spec):
        return reply_of(before)
    # So that of two requests at once the second one sees what the first one has made; of those to this process one
    # alone waits with a connection.
    async with call.state.retrying(found.id), call.state.clients.history.connection() as connection:
        await locks.hold(connection, found.id)
        retries = await _retries_of(call, found)
        if name not in {retry.metadata.name for retry in retries}:
            await _refuse(call, found, retries)
        row = await made(call, "backup", namespace=found.namespace, name=name, spec=spec)
    return await accepted(call, row)


async def _controlled(call: Call) -> Execution:
    found = await known(call)
    await call.caller.demand("executions.control", found.namespace, found.name)
    return found


async def _run_of(call: Call, found: Execution) -> Resource[Any, Any]:
    """The run object of an execution. Raises NotPossible when it is gone."""
    kind = RUN_KINDS[RUN_OF[found.operation]].kind
    with suppress(Absent):
        run: Resource[Any, Any] = kind.model.read(
            await call.caller.kube.get(objects_path(kind, found.namespace, found.name))
        )
        if execution_id_of(run) == str(found.id):
            return run
    if found.status in TERMINAL:
        raise _ended(found, found.status.capitalize())
    raise NotPossible(
        f"The {kind.name} {found.name!r} of the execution does not exist any more.",
        remedy="Start a new run; this one ends by itself as cancelled.",
    )


def _ended(found: Execution, phase: str) -> NotPossible:
    return NotPossible(
        f"Execution {found.id} has ended already: it is {phase}.",
        remedy="There is nothing to do; GET /api/executions/<id> tells how it ended.",
    )


async def _retries_of(call: Call, found: Execution) -> list[BackupExecution]:
    """The runs that have tried this one again, whoever has made them."""
    objects, _ = await call.caller.kube.list(objects_path(BACKUP_EXECUTION, found.namespace))
    return [BackupExecution.read(each) for each in objects if each["spec"].get("retryOf") == found.name]


async def _refuse(call: Call, found: Execution, retries: list[BackupExecution]) -> None:
    failed = cast(BackupExecution, await _run_of(call, found))
    # Of a run that had the name before, and was deleted since.
    own = [each for each in retries if each.metadata.creation_timestamp >= failed.metadata.creation_timestamp]
    refused = refusal(failed, await _job_of(call, failed), own, now=datetime.now(UTC))
    if refused is not None:
        raise NotPossible(refused.what, remedy=refused.remedy)


async def _job_of(call: Call, run: BackupExecution) -> BackupJob | None:
    with suppress(Absent):
        path = objects_path(BACKUP_JOB, run.metadata.namespace, run.spec.backup_job_ref.name)
        return BackupJob.read(await call.caller.kube.get(path))
    return None


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/executions/{execution_id}/cancel",
        permission="executions.control",
        summary="End an execution that waits or runs.",
        handler=cancel,
        action="execution.cancel",
        answer=Execution,
        status=HTTPStatus.ACCEPTED,
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/api/executions/{execution_id}/retry-upload",
        permission="executions.control",
        summary="Try the upload of a failed backup again, without another dump; needs `backup_jobs.run` too.",
        handler=retry_upload,
        action="execution.retry_upload",
        answer=Execution,
        status=HTTPStatus.ACCEPTED,
        idempotent=True,
    ),
)
