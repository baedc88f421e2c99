"""What the endpoints share: the clients, and what is remembered between requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID
from weakref import WeakValueDictionary

from aiohttp import web

from ..workers.loop import Pulses
from .access import Access
from .audit_trail import Trail
from .changes import Changes
from .checked import Checked
from .clients import Clients
from .feeds import Feeds
from .inventory import Inventory
from .job_objects import BackupJob, SyncJob
from .overview import EndedCounts
from .remembered import Refreshed, Remembered
from .services import Found
from .streams import Streams
from .totals import Counted
from .watched import Watched


@dataclass(kw_only=True)
class State:
    """The sidecar's state; it lives as long as the process."""

    clients: Clients
    access: Access
    trail: Trail
    backup_jobs: Watched[BackupJob]
    sync_jobs: Watched[SyncJob]
    ended: Refreshed[EndedCounts]
    services: Remembered[Found]
    pulses: Remembered[Pulses]  # of the leader's workers
    datasources: Remembered[list[Checked]]
    storage: Remembered[list[Checked]]
    inventory: Remembered[Inventory | None]  # None when the objects cannot be listed
    counted: Counted
    streams: Streams
    feeds: Feeds
    changes: Changes
    _retrying: WeakValueDictionary[UUID, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def retrying(self, execution: UUID) -> asyncio.Lock:
        """Held while an execution is tried again."""
        return self._retrying.setdefault(execution, asyncio.Lock())


STATE: web.AppKey[State] = web.AppKey("state")
