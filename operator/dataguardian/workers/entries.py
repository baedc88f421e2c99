"""The catalogue of backups in memory: a slim entry of each ended BackupExecution, and the imports that wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..domain.catalogue import Entry, entry_of
from ..domain.status import is_terminal
from ..kube.client import JSON, Kubernetes
from ..kube.listing import pages
from ..resources.backup import BACKUP_EXECUTION, BackupExecution

TICK_S = 5.0
EVERY_S = 3600.0
SILENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A run object as the API server has it now, as far as an import must know it."""

    namespace: str
    name: str
    execution_id: str


class Entries:
    """Ended BackupExecutions. Filled as they are seen; ``load`` brings in those that were not.

    ``changed`` are the jobs, by namespace and name, whose entries are others since somebody has emptied it.
    """

    def __init__(self, kube: Kubernetes) -> None:
        self._kube = kube
        self._by_job: dict[tuple[str, str], dict[str, Entry]] = {}  # namespace and job → name
        self._by_id: dict[str, dict[str, Entry]] = {}  # namespace → execution id
        self._stored: Counter[tuple[str, str]] = Counter()  # by namespace and job
        self._incomplete: dict[str, Entry] = {}  # by UID
        self._waiting: dict[str, BackupExecution] = {}  # by UID
        self._loaded_at: float | None = None
        self.changed: dict[tuple[str, str], None] = {}

    def put(self, execution: BackupExecution) -> None:
        """Know the newest version of an object; one of before its end may come late."""
        if execution.is_import and execution.status.phase is None:
            meta = execution.metadata
            known = self.find(meta.namespace, execution.spec.backup_job_ref.name, meta.name)
            if known is None or known.uid != meta.uid:
                self._waiting[meta.uid] = execution
        elif is_terminal(execution.status):
            self._waiting.pop(execution.metadata.uid, None)
            self._enter(entry_of(execution, seen=datetime.now(UTC)))

    def drop(self, execution: BackupExecution) -> None:
        """Forget an object that is gone."""
        self._waiting.pop(execution.metadata.uid, None)
        known = self.find(execution.metadata.namespace, execution.spec.backup_job_ref.name, execution.metadata.name)
        if known is not None and known.uid == execution.metadata.uid:
            self.forget(known)

    def forget(self, entry: Entry) -> None:
        """Forget the entry of an object that is gone."""
        if self._by_job.get((entry.namespace, entry.job), {}).pop(entry.name, None) is None:
            return
        self.changed[entry.namespace, entry.job] = None
        self._stored[entry.namespace, entry.job] -= entry.stored
        self._incomplete.pop(entry.uid, None)
        ids = self._by_id.get(entry.namespace, {})
        known = ids.get(entry.execution_id)
        if known is not None and known.uid == entry.uid:
            del ids[entry.execution_id]

    def of_job(self, namespace: str, job: str) -> list[Entry]:
        """The entries of a job's runs."""
        return list(self._by_job.get((namespace, job), {}).values())

    def find(self, namespace: str, job: str, name: str) -> Entry | None:
        """The entry of one of a job's runs."""
        return self._by_job.get((namespace, job), {}).get(name)

    def of_id(self, namespace: str, execution_id: str) -> Entry | None:
        """The entry of an execution."""
        return self._by_id.get(namespace, {}).get(execution_id)

    def of_namespace(self, namespace: str) -> list[Entry]:
        """All entries of a namespace."""
        return list(self._by_id.get(namespace, {}).values())

    def incomplete(self) -> list[Entry]:
        """Stored backups that miss a copy, the newest first."""
        return sorted(self._incomplete.values(), key=lambda entry: entry.ended, reverse=True)

    def waiting(self) -> list[BackupExecution]:
        """Imports that have no status yet."""
        return list(self._waiting.values())

    def stored(self, namespace: str, job: str) -> int:
        """How many backups of a job are stored."""
        return self._stored[namespace, job]

    def locations(self, namespace: str, job: str) -> set[str]:
        """The locations that have backups of a job."""
        return {
            copy.location for entry in self.of_job(namespace, job) for copy in entry.copies if copy.state == "Stored"
        }

    @property
    def loaded(self) -> bool:
        """Whether all of the cluster's are known."""
        return self._loaded_at is not None

    async def refresh(self) -> None:
        """Load all at the start, and again every hour; a step of the worker ``catalogue``."""
        if self._loaded_at is None or time.monotonic() - self._loaded_at > EVERY_S:
            await self.load()

    async def load(self, namespace: str | None = None) -> list[Listed]:
        """Know every run object of the namespace, or of all, as the API server has them; returns them all.

        An entry that is known already stays: it may be newer than the list.
        """
        began = datetime.now(UTC)
        listed: list[Listed] = []
        uids: set[str] = set()
        async for page in pages(self._kube, BACKUP_EXECUTION, dict, silence_s=SILENCE_S, namespace=namespace):
            for execution in _read(page):
                meta = execution.metadata
                uids.add(meta.uid)
                listed.append(Listed(meta.namespace, meta.name, execution.execution_id))
                if self.find(meta.namespace, execution.spec.backup_job_ref.name, meta.name) is None:
                    self.put(execution)
        namespaces = list(self._by_id) if namespace is None else [namespace]
        for entry in [entry for each in namespaces for entry in self.of_namespace(each)]:
            if entry.uid not in uids and entry.seen < began:
                self.forget(entry)
        if namespace is None:
            self._loaded_at = time.monotonic()
        return listed

    def _enter(self, entry: Entry) -> None:
        known = self.find(entry.namespace, entry.job, entry.name)
        if known == entry:
            return  # also keeps when it was first seen so
        if known is not None:
            self.forget(known)
        self._by_job.setdefault((entry.namespace, entry.job), {})[entry.name] = entry
        self._by_id.setdefault(entry.namespace, {})[entry.execution_id] = entry
        self.changed[entry.namespace, entry.job] = None
        self._stored[entry.namespace, entry.job] += entry.stored
        if entry.incomplete:
            self._incomplete[entry.uid] = entry


def _read(page: Iterable[JSON]) -> Iterator[BackupExecution]:
    for body in page:
        yield BackupExecution.read(body)
