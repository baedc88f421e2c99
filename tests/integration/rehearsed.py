"""RestoreDrills and what they have run, in a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dataguardian.kube.client import JSON
from dataguardian.resources import drill, restore
from dataguardian.resources.common import timestamp
from dataguardian.resources.drill import RestoreDrill
from dataguardian.resources.restore import RestoreRequest
from dataguardian.workers.context import Context

from . import stored

PHRASE = {"verificationMode": True, "confirmationPhrase": "VERIFICAR RESTORE"}


async def make_drill(
    context: Context, namespace: str, *, promised: datetime | None = None, **spec: Any
) -> RestoreDrill:
    """A drill, as an operator left it that promised a slot and then was away."""
    whole = {"backupJobRef": {"name": "nightly"}, **spec}
    status = {"nextScheduleTime": timestamp(promised)} if promised else {}
    made = RestoreDrill.read(await stored.make(context.kube, drill.KIND, namespace, "weekly", whole, status))
    context.catalog.put(drill.KIND, made)
    return made


async def request(
    context: Context, namespace: str, name: str, phase: str | None, *, hours_ago: int = 0, **status: Any
) -> RestoreRequest:
    """A run of the drill; one that has ended did so that long ago."""
    spec: JSON = {"restoreDrillRef": {"name": "weekly"}, **PHRASE}
    at = timestamp(datetime.now(UTC) - timedelta(hours=hours_ago))
    started = {"phase": phase, "queuedTime": at, "startTime": at}
    ended = {"completionTime": at} if phase in ("Completed", "Failed", "Cancelled") else {}
    whole = {**started, **ended, **status} if phase else {}
    return RestoreRequest.read(await stored.make(context.kube, restore.KIND, namespace, name, spec, whole))
