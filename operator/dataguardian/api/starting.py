"""Starting a run: one run object for one request, however often the request is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs

from ..domain.naming import RunOperation
from ..errors import DataGuardianError
from ..history import RunRow, SyncRow
from ..kube.client import JSON, Conflict, objects_path
from ..resources.common import API_VERSION, Resource
from ..workers.operations import RUN_KINDS, RunKind
from ..workers.rows import row_of
from .endpoints import Call, Reply
from .executions import Execution
from .refusals import KeyReused

KEY = "Idempotency-Key"
REQUEST = "dataguardian.io/request"  # annotation: a digest of what was asked for
NAME_DIGITS = 12
RECORDED_WITHIN_S = 2.0


async def started(
    call: Call, operation: RunOperation, *, namespace: str, prefix: str, spec: Mapping[str, Any]
) -> Reply:
    """Create the run object as the caller, and answer 202 with the execution, which is queued.

    The same Idempotency-Key of the same caller on the same path gives the same object, whose name is made of them: the
    API server's 409 is the lock. Raises KeyReused when it asked for something else then; what ``Kubernetes`` raises.
    """
    run_kind = RUN_KINDS[operation]
    asked = _digest(spec)
    name = f"{prefix}-{_suffix(call)}"
    body: JSON = {
        "apiVersion": API_VERSION,
        "kind": run_kind.kind.name,
        "metadata": {"name": name, "annotations": {REQUEST: asked}},
        "spec": spec,
    }
    try:
        made = await call.caller.kube.create(objects_path(run_kind.kind, namespace), body)
    except Conflict:
        made = await call.caller.kube.get(objects_path(run_kind.kind, namespace, name))
        if made["metadata"].get("annotations", {}).get(REQUEST) != asked:
            raise KeyReused(
                f"{KEY}: this key came with another request before.",
                remedy="Send a new key with a new request.",
            ) from None
    row = _row(run_kind, run_kind.kind.model.read(made))
    call.deed.execution_id = row.id
    await _record(call, row)
    return Reply(
        body=_told(row),
        status=HTTPStatus.ACCEPTED,
        headers={hdrs.LOCATION: f"/api/executions/{row.id}"},
    )


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
    with suppress(DataGuardianError, TimeoutError):
        async with asyncio.timeout(RECORDED_WITHIN_S):
            await call.state.clients.history.record(row)


def _suffix(call: Call) -> str:
    key = call.request.headers.get(KEY)
    if key is None:
        return secrets.token_hex(NAME_DIGITS // 2)
    return _digest([call.caller.name, call.request.method, call.request.path, key])[:NAME_DIGITS]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
