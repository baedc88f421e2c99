"""Events: one for the end of each run, so that ``kubectl describe`` and event exporters show it."""

from __future__ import annotations

from typing import Any

from ..domain.conditions import reason_of
from ..resources.common import API_VERSION, Kind, Resource, timestamp
from ..resources.execution import RunStatus
from .client import Absent, Conflict, Kubernetes

MESSAGE_LIMIT = 1024  # characters, the API server's limit


async def post_end(kube: Kubernetes, kind: Kind[Any], run: Resource[Any, Any]) -> None:
    """Post how a run ended. Its name says which run and end it is about, so that it is posted once."""
    status: RunStatus = run.status
    if status.phase is None or status.completion_time is None:
        return
    meta, at = run.metadata, timestamp(status.completion_time)
    good = status.error is None
    reason = status.phase if status.error is None else reason_of(status.error.code)
    message = f"Took {status.duration}." if status.error is None else f"{status.error.message} {status.error.remedy}"
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta.name}.{meta.uid}", "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": kind.name,
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        },
        "type": "Normal" if good else "Warning",
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
        "source": {"component": "dataguardian"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
    try:
        await kube.create(f"/api/v1/namespaces/{meta.namespace}/events", event)
    except (Conflict, Absent):
        return  # it is there, or the namespace is going
