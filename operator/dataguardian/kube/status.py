"""Status writes: the one place that reads the object again, decides, and writes only what changed."""

from __future__ import annotations

from collections.abc import Callable

from ..resources.common import Kind, ResourceT, Status
from .client import JSON, Conflict, Kubernetes, objects_path

TRIES = 5


async def change_status(
    kube: Kubernetes, kind: Kind[ResourceT], owner: ResourceT, change: Callable[[ResourceT], Status | None]
) -> ResourceT:
    """Apply the change to the newest version of the object and return it as it is afterwards.

    ``change`` gets the object as it is now and says what its status should be; None leaves it.
    Raises Absent when the object is gone or another one has taken its name, and Conflict after several lost races.
    """
    path = objects_path(kind, owner.metadata.namespace, owner.metadata.name)
    current = owner
    for _ in range(TRIES):
        wanted = change(current)
        if wanted is None or wanted == current.status:
            return current
        body: JSON = {
            "metadata": {"resourceVersion": current.metadata.resource_version, "uid": owner.metadata.uid},
            "status": _difference(current.status.wire(), wanted.wire()),
        }
        try:
            return kind.model.read(await kube.patch(path + "/status", body))
        except Conflict:
            current = kind.model.read(await kube.get(path))
            if current.metadata.uid != owner.metadata.uid:
                raise
    raise Conflict(f"{kind.name} {owner.metadata.namespace}/{owner.metadata.name} changed {TRIES} times")


def _difference(before: JSON, after: JSON) -> JSON:
    """A merge patch: changed fields, and null for those that went away."""
    patch: JSON = {key: None for key in before if key not in after}
    for key, value in after.items():
        if before.get(key) == value:
            continue
        old = before.get(key)
        patch[key] = _difference(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return patch
