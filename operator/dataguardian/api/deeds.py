"""What a request that writes is about, and how it came out: one row of the audit log for each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ..history import AuditRow
from ..history.audit import Outcome
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from ..resources.sync import DATABASE_SYNC_JOB
from .endpoints import Deed
from .problems import REQUEST_ID, kind_of
from .state import STATE

# What an id in a path is of, as far as the path says.
KINDS: Mapping[str, str] = {
    "backup-jobs": BACKUP_JOB.name,
    "db-sync-jobs": DATABASE_SYNC_JOB.name,
    "backups": BACKUP_EXECUTION.name,
}


def deed_of(action: str, request: web.Request) -> Deed:
    """What the path alone tells."""
    ids = request.match_info
    namespace, _, name = ids.get("job_id", "").partition(".")
    execution_id = ids.get("execution_id")
    return Deed(
        action=action,
        namespace=namespace,
        object_kind=KINDS.get(request.path.split("/")[2], ""),
        object_name=name or execution_id or "",
        execution_id=execution_id,
    )


async def noted(
    request: web.Request, deed: Deed, answer: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The answer; what became of the deed is noted, whatever that is. Raises what answering raises."""
    began = datetime.now(UTC)
    try:
        response = await answer()
    except asyncio.CancelledError:  # the process ends: it may have been done, or not
        _note(request, deed, began, "failed", {"code": "interrupted"})
        raise
    except Exception as error:
        status, code = kind_of(error)
        outcome: Outcome = "refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"
        _note(request, deed, began, outcome, {"status": int(status), "code": code})
        raise
    _note(request, deed, began, "success", {"status": response.status})
    return response


def _note(request: web.Request, deed: Deed, began: datetime, outcome: Outcome, detail: Mapping[str, Any]) -> None:
    if not deed.who:
        return  # nobody did it
    row = AuditRow(
        id=str(uuid.uuid4()),
        at=began,
        who=deed.who,
        action=deed.action,
        namespace=deed.namespace,
        object_kind=deed.object_kind,
        object_name=deed.object_name,
        outcome=outcome,
        detail=detail,
        execution_id=deed.execution_id,
        request_id=request[REQUEST_ID],
    )
    request.app[STATE].trail.note(row)
