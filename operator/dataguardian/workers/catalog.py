"""The objects as last seen: what the workers look things up in without asking the API server each time."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..domain.drills import drill_of
from ..domain.status import is_terminal
from ..domain.sync_jobs import job_of
from ..kube.client import JSON, Absent, Kubernetes, objects_path
from ..kube.listing import pages
from ..resources import restore
from ..resources.backup import BackupExecution
from ..resources.common import Kind, Resource, ResourceT
from ..resources.execution import RunStatus
from ..resources.restore import RestoreRequest
from ..resources.sync import DATABASE_SYNC_EXECUTION, DatabaseSyncExecution
from .ended_runs import EndedRuns
from .entries import Entries
from .holds import Holds
from .previous import PreviousDatabases

Key = tuple[str, str]  # namespace, name
SILENCE_S = 30.0
REMEMBERED_ENDS = 10_000


class Catalog:
    """All configuration objects, the runs that have not ended, and the entries of those that have.

    Rebuilt from the API server at each start.
    """

    def __init__(self, kube: Kubernetes) -> None:
        self._kube = kube
        self.entries = Entries(kube)
        # By the plural of the runs.
        self.ended_runs = {restore.KIND.plural: EndedRuns(drill_of), DATABASE_SYNC_EXECUTION.plural: EndedRuns(job_of)}
        self.holds = Holds()
        self.previous = PreviousDatabases()
        self._objects: dict[str, dict[Key, Any]] = {}
        # UIDs of runs that were seen to have ended, the latest ones: an older version may arrive after the newest.
        self._ended: dict[str, None] = {}
        self._changes: Counter[str] = Counter()  # by kind

    async def load(self, *kinds: Kind[Any]) -> None:
        """Know every object of these kinds that matters now; one that is known already stays."""
        for kind in kinds:
            async for page in pages(self._kube, kind, dict, silence_s=SILENCE_S):
                for body in page:
                    resource = kind.model.read(body)
                    if _key(resource) not in self._objects.get(kind.plural, {}):
                        self.put(kind, resource)

    def put(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Keep the newest version of an object; of a run that has ended, only its entry.

        What it was before its end says nothing any more, however late it is seen.
        """
        if resource.metadata.uid in self._ended and not _is_over(resource):
            self._let_go(kind, resource)
            return
        known = self.known(kind, *_key(resource))
        if known is None or known.metadata.resource_version != resource.metadata.resource_version:
            self._changes[kind.plural] += 1
        if isinstance(resource, BackupExecution):
            self.entries.put(resource)
        if ended := self.ended_runs.get(kind.plural):
            ended.put(resource)
        if isinstance(resource, RestoreRequest):
            self.holds.put(resource)
        if isinstance(resource, DatabaseSyncExecution):
            self.previous.put(resource)
        if _is_over(resource):
            self._remember_end(resource.metadata.uid)
        if _is_import(resource) or resource.metadata.uid in self._ended:
            self._let_go(kind, resource)
        elif known is None or not _is_older(resource, known):
            self._objects.setdefault(kind.plural, {})[_key(resource)] = resource

    def drop(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        """Forget an object that is gone."""
        self._changes[kind.plural] += 1
        if isinstance(resource, BackupExecution):
            self.entries.drop(resource)
        if ended := self.ended_runs.get(kind.plural):
            ended.drop(resource)
        if isinstance(resource, RestoreRequest):
            self.holds.drop(resource)
        if isinstance(resource, DatabaseSyncExecution):
            self.previous.forget(resource.metadata.uid)
        self._let_go(kind, resource)

    def all(self, kind: Kind[ResourceT]) -> list[ResourceT]:
        """The known objects of a kind."""
        return list(self._objects.get(kind.plural, {}).values())

    def known(self, kind: Kind[ResourceT], namespace: str, name: str) -> ResourceT | None:
        """The object as last seen."""
        return self._objects.get(kind.plural, {}).get((namespace, name))

    def changes(self, *kinds: Kind[Any]) -> int:
        """A number that is another one after each change of an object of these kinds."""
        return sum(self._changes[kind.plural] for kind in kinds)

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

    async def listed(self, kind: Kind[ResourceT], namespace: str) -> list[ResourceT]:
        """All objects of a kind in a namespace as the API server has them now."""
        listing = pages(self._kube, kind, dict, silence_s=SILENCE_S, namespace=namespace)
        return [kind.model.read(body) async for page in listing for body in page]

    def _remember_end(self, uid: str) -> None:
        self._ended[uid] = None
        if len(self._ended) > REMEMBERED_ENDS:
            del self._ended[next(iter(self._ended))]

    def _let_go(self, kind: Kind[ResourceT], resource: ResourceT) -> None:
        known = self.known(kind, *_key(resource))
        if known is not None and known.metadata.uid == resource.metadata.uid:
            del self._objects[kind.plural][_key(resource)]


def _is_import(resource: Resource[Any, Any]) -> bool:
    """Whether the object is an entry from the beginning, and no run."""
    return isinstance(resource, BackupExecution) and resource.is_import


def _is_over(resource: Resource[Any, Any]) -> bool:
    """Whether it is a run that has ended."""
    return isinstance(resource.status, RunStatus) and is_terminal(resource.status)


def _is_older(resource: Resource[Any, Any], known: Resource[Any, Any]) -> bool:
    """Whether a watch tells of a version after the answer to a write has told of a later one."""
    if resource.metadata.uid != known.metadata.uid:
        return False
    versions = resource.metadata.resource_version, known.metadata.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])


def _key(resource: Resource[Any, Any]) -> Key:
    return resource.metadata.namespace, resource.metadata.name
