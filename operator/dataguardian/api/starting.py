"""Starting a run: one run object for one request, however often the request is sent."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs

from ..domain.naming import RunOperation
from ..errors import DataGuardianError, SpecInvalid
from ..history import RunRow, SyncRow, reading
from ..kube.client import JSON, Absent, Conflict, KubernetesUnavailable, objects_path
from ..resources.common import API_VERSION, Resource
from ..resources.execution import RUN_NAME_MAX
from ..workers.operations import RUN_KINDS, RunKind
from ..workers.rows import row_of
from .endpoints import Call, Reply
from .executions import Execution
from .refusals import KeyReused

KEY = "Idempotency-Key"
KEY_FORM = r"[ -~]{1,255}"
REQUEST = "dataguardian.io/request"  # annotation: a digest of what was asked for
NAME_DIGITS = 12
LOOKED_UP_WITHIN_S = RECORDED_WITHIN_S = 1.5


async def started(
    call: Call, operation: RunOperation, *, namespace: str, prefix: str, spec: Mapping[str, Any]
) -> Reply:
    """Create the run object as the caller, and answer 202 with the execution, which is queued.

    A request that comes again with its Idempotency-Key gives the execution that it gave, also when that is over and its
    object is deleted. Raises what ``made`` raises.
    """
    name = name_of(call, prefix)
    if before := await over(call, operation, namespace, name, spec):
        return reply_of(before)
    return await accepted(call, await made(call, operation, namespace=namespace, name=name, spec=spec))


def name_of(call: Call, prefix: str) -> str:
    """The name of the run object of this request: the same one for the same Idempotency-Key of the same caller on the
    same path, and a new one each time without a key. Raises SpecInvalid for a key that is none."""
    key = key_of(call)
    if key is None:
        return run_name(prefix, secrets.token_hex(NAME_DIGITS // 2))
    return run_name(prefix, _digest([call.caller.name, call.request.method, call.request.path, key])[:NAME_DIGITS])


def run_name(prefix: str, suffix: str) -> str:
    """Both as the name of a run object; a prefix that is too long is cut."""
    return f"{prefix[: RUN_NAME_MAX - len(suffix) - 1].rstrip('-.')}-{suffix}"


async def made(call: Call, operation: RunOperation, *, namespace: str, name: str, spec: Mapping[str, Any]) -> RunRow:
    """The execution of the run object of this name, created as the caller unless it is there: the API server's 409 is
    the lock. Raises KeyReused when it asked for something else then; what ``Kubernetes`` raises."""
    run_kind = RUN_KINDS[operation]
    asked = _digest(spec)
    body: JSON = {
        "apiVersion": API_VERSION,
        "kind": run_kind.kind.name,
        "metadata": {"name": name, "annotations": {REQUEST: asked}},
        "spec": spec,
    }
    try:
        run = await call.caller.kube.create(objects_path(run_kind.kind, namespace), body)
    except Conflict as conflict:
        present = await _present(call, run_kind, namespace, name)
        if present is None:
            raise KubernetesUnavailable(
                f"The API server could not create it now: {conflict}.", remedy="Send the request again."
            ) from conflict
        _refuse_reuse(present["metadata"].get("annotations", {}).get(REQUEST), asked)
        run = present
    row = _row(run_kind, run_kind.kind.model.read(run))
    call.deed.execution_id = row.id  # it exists, whatever becomes of the answer
    return replace(row, metadata={**row.metadata, "request": asked})


def _refuse_reuse(before: str | None, asked: str) -> None:
    if before != asked:
        raise KeyReused(
            f"{KEY}: this key came with another request before.", remedy="Send a new key with a new request."
        )


async def accepted(call: Call, row: RunRow) -> Reply:
    """The answer 202 with an execution, which history has before its caller can ask for it."""
    await _record(call, row)
    return reply_of(_told(row))


def reply_of(execution: Execution) -> Reply:
    """The answer 202: what is asked for is begun, and this is where its execution can be followed."""
    return Reply(
        body=execution,
        status=HTTPStatus.ACCEPTED,
        headers={hdrs.LOCATION: f"/api/executions/{execution.id}"},
    )


async def over(
    call: Call, operation: RunOperation, namespace: str, name: str, spec: Mapping[str, Any]
) -> Execution | None:
    """The execution of a request that came before, when history alone still has it. Raises KeyReused."""
    if key_of(call) is None:
        return None
    try:
        async with call.state.clients.history.connection(limit_s=LOOKED_UP_WITHIN_S) as connection:
            found = await reading.named(connection, Execution, namespace, name)
            before = await reading.request_of(connection, found.id) if found else None
    except DataGuardianError:  # without Postgres the object alone tells
        return None
    if found is None or await _present(call, RUN_KINDS[operation], namespace, name) is not None:
        return None
    asked = _digest(spec)
    _refuse_reuse(before or asked, asked)
    call.deed.execution_id = str(found.id)
    return found


async def _present(call: Call, run_kind: RunKind, namespace: str, name: str) -> JSON | None:
    """A run object that the caller has made; read with our own right, as who may create one need not have it."""
    try:
        return await call.state.clients.kube.get(objects_path(run_kind.kind, namespace, name))
    except Absent:
        return None


def _row(run_kind: RunKind, run: Resource[Any, Any]) -> RunRow:
    """The execution as its run object says; one that the operator has not seen yet waits."""
    if run.status.phase is None:
        queued = run.status.model_copy(update={"phase": "Queued", "queued_time": run.metadata.creation_timestamp})
        run = run.model_copy(update={"status": queued})
    row = row_of(run_kind, run, observed_at=datetime.now(UTC))
    if row is None:
        raise ValueError(run.status.phase)
    return row


def _told(row: RunRow) -> Execution:
    known = {name: getattr(row, name, None) for name in Execution.model_fields}
    return Execution(**known | ({"datasource": row.target} if isinstance(row, SyncRow) else {}))


async def _record(call: Call, row: RunRow) -> None:
    """Let history have it at once, so that the caller finds it; without Postgres the operator records it later."""
    with suppress(DataGuardianError):
        await call.state.clients.history.record(row, limit_s=RECORDED_WITHIN_S)


def key_of(call: Call) -> str | None:
    """The Idempotency-Key of a request, if it has one. Raises SpecInvalid for what is none."""
    given = call.request.headers.getall(KEY, [])
    if not given:
        return None
    if len(given) > 1 or not re.fullmatch(KEY_FORM, given[0]):
        raise SpecInvalid(
            f"{KEY}: the header must stand in the request once, with 1 to 255 printable characters of ASCII.",
            remedy="Send a new UUID as key with each new request.",
        )
    return given[0]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
