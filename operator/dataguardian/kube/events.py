"""Events: what happened to an object, so that ``kubectl describe`` and event exporters show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..domain.conditions import reason_of
from ..resources.common import API_VERSION, Kind, Resource, timestamp
from ..resources.execution import RunStatus
from .client import Absent, Conflict, Kubernetes

MESSAGE_LIMIT = 1024  # characters, the API server's limit


async def post(
    kube: Kubernetes,
    kind: Kind[Any],
    about: Resource[Any, Any],
    *,
    name: str,
    at: datetime,
    reason: str,
    message: str,
    warning: bool,
) -> None:
    """Post an event about an object; one that has the name is there already, and nothing is posted twice."""
    meta = about.metadata
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": kind.name,
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
        "source": {"component": "dataguardian"},
        "firstTimestamp": timestamp(at),
        "lastTimestamp": timestamp(at),
        "count": 1,
    }
    try:
        await kube.create(f"/api/v1/namespaces/{meta.namespace}/events", event)
    except (Conflict, Absent):
        return  # it is there, or the namespace is going


async def post_end(kube: Kubernetes, kind: Kind[Any], run: Resource[Any, Any]) -> None:
    """Post how a run ended. Its name says which run it is about, so that it is posted once."""
    status: RunStatus = run.status
    if status.phase is None or status.completion_time is None:
        return
    error = status.error
    await post(
        kube,
        kind,
        run,
        name=f"{run.metadata.name}.{run.metadata.uid}",
        at=status.completion_time,
        reason=reason_of(error.code) if error else status.phase,
        message=f"{error.message} {error.remedy}" if error else f"Took {status.duration}.",
        warning=error is not None,
    )
