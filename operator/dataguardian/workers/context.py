"""What the workers share."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..domain.evidence import Evidence
from ..domain.health import Health
from ..domain.told import ManifestFound
from ..history import AuditRow, HealthRow, History, RunRow
from ..kube.client import JSON, Kubernetes
from ..live_log import LiveLine, LiveLog
from ..queue import Queue
from ..resources.backup import BackupExecution
from ..settings import RunLimits, RunnerSettings
from .catalog import Catalog
from .pauses import Pauses
from .slots import Slots


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Unlogged:
    """An ended run whose log is not in history yet; until it is, its Kubernetes Job is kept."""

    namespace: str
    job: str  # name of the Kubernetes Job
    pods: Sequence[JSON]  # the metadata of one for each try, oldest first
    row: RunRow
    unreadable_since: datetime | None = None
    next_try: datetime | None = None


@dataclass(kw_only=True)
class Search:
    """A backup that is looked for in the store, because its runner could not tell how it ended."""

    since: datetime
    asked: Sequence[str] = ()  # locations
    answer: Sequence[ManifestFound] | None = None  # its copies, once the store could be asked
    obstacle: str = "No answer came in time."  # why it could not


@dataclass(kw_only=True)
class Context:
    """The operator's clients, and the state that lives as long as the process."""

    kube: Kubernetes
    queue: Queue
    history: History
    runner: RunnerSettings
    catalog: Catalog
    limits: RunLimits = field(default_factory=RunLimits)
    slots: Slots = field(init=False)
    live_log: LiveLog = field(init=False)
    # Finished Kubernetes Jobs whose result is not recorded yet, by UID; their missing TTL says so after a restart.
    unrecorded: dict[str, JSON] = field(default_factory=dict)
    # Logs that history has not got yet, by the UID of the Kubernetes Job.
    unlogged: dict[str, Unlogged] = field(default_factory=dict)
    # Rows that history has not got yet, by execution; what a restart loses of them, the backfill finds again.
    unwritten: dict[str, RunRow] = field(default_factory=dict)
    # The same of the audit log, by id.
    unaudited: dict[str, AuditRow] = field(default_factory=dict)
    # The same of changes of health, by id; and the health that each checked object had last, by UID.
    unnoted: dict[str, HealthRow] = field(default_factory=dict)
    healths: dict[str, Health] = field(default_factory=dict)
    # Lines that the live log has not got yet, oldest first: see ``live_lines``.
    unsent: deque[LiveLine] = field(default_factory=deque)
    # Ended runs that the status of their BackupJob does not show yet, by UID.
    unsummarized: dict[str, BackupExecution] = field(default_factory=dict)
    # Scheduled objects whose status may not be true, by plural, namespace and name, in the order in which that became
    # known.
    unjudged: dict[tuple[str, str, str], None] = field(default_factory=dict)
    # BackupJobs that may not be as recoverable as their status says, by namespace and name; and what the statuses may
    # not show yet of what ended RestoreRequests found, by UID. A restart finds both in the objects.
    unassessed: dict[tuple[str, str], None] = field(default_factory=dict)
    unproven: dict[str, Evidence] = field(default_factory=dict)
    # What scheduled objects were last judged by, by the UID of what they refer to: see ``readiness.standing``.
    standings: dict[str, object] = field(default_factory=dict)
    # The newest pod of each run and check, by the UID of their object. The last that was seen of a run's pod stays
    # until the run has ended: it may be all that is left of the result.
    pods: dict[str, JSON] = field(default_factory=dict)
    # Kubernetes Jobs that are done for an object that exists, by namespace and name, the notes of those that are being
    # made, and the pods by the Job's UID.
    side_jobs: dict[tuple[str, str], JSON] = field(default_factory=dict)
    side_starts: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    side_pods: dict[str, JSON] = field(default_factory=dict)
    # What is left alone for a while because it failed.
    pauses: Pauses = field(default_factory=Pauses)
    # Locations where removals wait, by the UID of the BackupJob; see ``policies.caught_up``.
    away: dict[str, dict[str, bool]] = field(default_factory=dict)
    # Backups whose result was lost with their pod and is looked for, by execution.
    searches: dict[str, Search] = field(default_factory=dict)
    # Runs whose start is being worked on, by UID: nobody else may judge them meanwhile.
    dispatching: set[str] = field(default_factory=set)
    # Since when something keeps a Queued run from its start that somebody has to cure, by UID.
    held_since: dict[str, datetime] = field(default_factory=dict)
    # Runs that are being cancelled, by UID; set when there is news of their pod or Kubernetes Job.
    stopping: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)  # held, or they would be collected while they run

    def __post_init__(self) -> None:
        self.live_log = LiveLog(self.queue.client)
        self.slots = Slots(self.catalog, limit=self.limits.max_concurrent)
