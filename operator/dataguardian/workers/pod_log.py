"""What the log of a runner's pod tells of backups."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain import told
from ..domain.naming import CONTAINER
from ..domain.pods import last_try
from ..domain.told import Told
from ..kube.client import JSON, Absent, ApiRefused, Kubernetes, pods_path

SILENCE_S = 30.0


async def read_told(kube: Kubernetes, pods: Sequence[JSON]) -> list[Told] | None:
    """The lines of the last try; None when its log is gone. Raises KubernetesUnavailable."""
    pod = last_try(pods)
    if pod is None:
        return None
    path = pods_path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
    lines = kube.lines(path, {"container": CONTAINER}, silence_s=SILENCE_S)
    try:
        return [line async for text in lines if (line := told.read(text)) is not None]
    except (Absent, ApiRefused):
        return None
