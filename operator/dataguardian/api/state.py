"""What the endpoints share: the clients, and what is remembered between requests."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from .access import Access
from .clients import Clients
from .job_objects import BackupJob, SyncJob
from .trail import Trail
from .watched import Watched


@dataclass(kw_only=True)
class State:
    """The sidecar's state; it lives as long as the process."""

    clients: Clients
    access: Access
    trail: Trail
    backup_jobs: Watched[BackupJob]
    sync_jobs: Watched[SyncJob]


STATE: web.AppKey[State] = web.AppKey("state")
