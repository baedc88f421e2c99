"""What the endpoints share: the clients, and what is remembered between requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from .access import Access
from .clients import Clients, Refreshed
from .job_objects import BackupJob, SyncJob
from .trail import Trail
from .watched import Watched

if TYPE_CHECKING:
    from .overview import EndedCounts


@dataclass(kw_only=True)
class State:
    """The sidecar's state; it lives as long as the process."""

    clients: Clients
    access: Access
    trail: Trail
    backup_jobs: Watched[BackupJob]
    sync_jobs: Watched[SyncJob]
    ended: Refreshed[EndedCounts]


STATE: web.AppKey[State] = web.AppKey("state")
