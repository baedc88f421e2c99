"""The objects as last seen: what the workers look things up in without asking the API server each time."""

from __future__ import annotations

from typing import Any

from ..domain.status import is_terminal
from ..kube.client import JSON, Absent, Kubernetes, objects_path
from ..resources.backup import BackupExecution
from ..resources.common import Kind, Resource, ResourceT
from ..resources.execution import RunStatus
from .entries import Entries

Key = tuple[str, str]  # namespace, name


class Catalog:
    """All configuration objects, the runs that have not ended, and the entries of those that have.

    Rebuilt from the API server at each start.
    """

    def __init__(self, kube: Kubernetes) -> None:
        self._kube = kube
        self.entries = Entries(kube)
        self._objects: dict[str, dict[Key, Any]] = {}

    def put(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Keep the newest version of an object; of a run that has ended, only its entry."""
        if isinstance(resource, BackupExecution):
            self.entries.put(resource)
        if _is_open(resource):
            self._objects.setdefault(kind.plural, {})[_key(resource)] = resource
        else:
            self._let_go(kind, resource)

    def drop(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Forget an object that is gone."""
        if isinstance(resource, BackupExecution):
            self.entries.drop(resource)
        self._let_go(kind, resource)

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

    def _let_go(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        self._objects.get(kind.plural, {}).pop(_key(resource), None)


def _is_open(resource: Resource[Any, Any]) -> bool:
    """Whether there is still something to do for the object; an import is no run."""
    if isinstance(resource, BackupExecution) and resource.is_import:
        return False
    return not (isinstance(resource.status, RunStatus) and is_terminal(resource.status))


def _key(resource: Resource[Any, Any]) -> Key:
    return resource.metadata.namespace, resource.metadata.name
