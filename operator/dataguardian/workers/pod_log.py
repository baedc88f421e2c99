"""What the log of a runner's pod tells of backups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..domain import told
from ..domain.naming import CONTAINER
from ..domain.outcome import finished_at
from ..domain.pods import last_try
from ..domain.told import Told
from ..errors import Unavailable
from ..kube.client import JSON, Absent, ApiRefused, Kubernetes, pods_path

SILENCE_S = 30.0
DEADLINE = timedelta(minutes=10)  # after the end, for a log that cannot be read; then it counts as lost


async def read_told(kube: Kubernetes, job: JSON, pods: Sequence[JSON], *, now: datetime) -> list[Told] | None:
    """The lines of the last try of a finished Kubernetes Job; None when its log is lost.

    Raises KubernetesUnavailable when it may be read later.
    """
    pod = last_try(pods)
    if pod is None:
        return None
    try:
        return await _read(kube, pod)
    except Unavailable:
        if now - (finished_at(job) or now) < DEADLINE:
            raise
        return None


async def _read(kube: Kubernetes, pod: JSON) -> list[Told] | None:
    path = pods_path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
    lines = kube.lines(path, {"container": CONTAINER}, silence_s=SILENCE_S)
    try:
        return [line async for text in lines if (line := told.read(text)) is not None]
    except (Absent, ApiRefused):
        return None
