"""The objects as last seen: what the workers look things up in without asking the API server each time."""

from __future__ import annotations

from typing import Any

from ..domain.status import is_terminal
from ..kube.client import JSON, Absent, Kubernetes, objects_path
from ..resources.common import Kind, Resource, ResourceT
from ..resources.execution import RunStatus

Key = tuple[str, str]  # namespace, name


class Catalog:
    """All configuration objects, and the runs that have not ended. Rebuilt from the API server at each start."""

    def __init__(self, kube: Kubernetes) -> None:
        self._kube = kube
        self._objects: dict[str, dict[Key, Any]] = {}

    def put(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Keep the newest version of an object; a run that has ended is let go."""
        if isinstance(resource.status, RunStatus) and is_terminal(resource.status):
            self.drop(kind, resource)
            return
        self._objects.setdefault(kind.plural, {})[_key(resource)] = resource

    def drop(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Forget an object that is gone."""
        self._objects.get(kind.plural, {}).pop(_key(resource), None)

    def all(self, kind: Kind[ResourceT]) -> list[ResourceT]:
        """The known objects of a kind."""
        return list(self._objects.get(kind.plural, {}).values())

    def known(self, kind: Kind[ResourceT], namespace: str, name: str) -> ResourceT | None:
        """The object as last seen."""
        return self._objects.get(kind.plural, {}).get((namespace, name))

    async def find(self, kind: Kind[ResourceT], namespace: str, name: str) -> ResourceT | None:
        """The object as last seen, else as the API server has it; None when there is none."""
        return self.known(kind, namespace, name) or await self.read(kind, namespace, name)

    async def read(self, kind: Kind[ResourceT], namespace: str, name: str) -> ResourceT | None:
        """The object as the API server has it now; None when there is none."""
        try:
            body: JSON = await self._kube.get(objects_path(kind, namespace, name))
        except Absent:
            return None
        return kind.model.read(body)


def _key(resource: Resource[Any, Any]) -> Key:
    return resource.metadata.namespace, resource.metadata.name
