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
# A refusal that comes after it was found that the caller may see the namespace.
AFTER_A_LOOK = (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)


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


def _asked(request: web.Request, deed: Deed, status: int) -> str | None:
    """What was typed, when nothing shows that it is there and that the caller may see it: whoever reads the log of a
    namespace shall not be told what strangers type."""
    typed = request.match_info.get("job_id")
    is_from_path = typed == f"{deed.namespace}.{deed.object_name}"
    return typed if is_from_path and status not in AFTER_A_LOOK else None


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
        detail: dict[str, Any] = {"status": int(status), "code": code}
        if outcome == "refused" and (asked := _asked(request, deed, status)):
            deed.namespace = deed.object_name = ""
            detail["asked"] = asked
        _note(request, deed, began, outcome, detail)
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
