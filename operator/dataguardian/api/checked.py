"""Datasources and StorageLocations as the API tells of their checks; the rest is skipped while an object is read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..domain.conditions import READY
from ..domain.health import Health, health_of
from ..kube.client import Kubernetes
from ..kube.listing import pages
from ..resources.common import Kind
from .objects import Object, Part

SILENCE_S = 3.0
LISTED_FOR_S = 2.0  # how long a list is good


class ReadyCondition(Part):
    """Why an object is as it is."""

    type: str
    reason: str
    message: str
    last_transition_time: datetime


class CheckStatus(Part):
    """What the last check found: ``health`` of a Datasource, ``phase`` of a StorageLocation."""

    health: str | None = None
    phase: str | None = None
    last_checked_time: datetime | None = None
    conditions: list[ReadyCondition] = msgspec.field(default_factory=list)
    latency_ms: int | None = None
    server_version: str | None = None
    backups: int | None = None
    stored_bytes: int | None = None


class Checked(Object):
    """A Datasource or a StorageLocation."""

    status: CheckStatus = msgspec.field(default_factory=CheckStatus)

    @property
    def found(self) -> Health:
        """What the last check found."""
        return health_of(self.status.health or self.status.phase)

    @property
    def ready(self) -> ReadyCondition | None:
        """Why, and since when it is usable or not."""
        return next((each for each in self.status.conditions if each.type == READY), None)


async def read_checked(kube: Kubernetes, kind: Kind[Any]) -> list[Checked]:
    """All objects of a kind, in the order of namespace and name. Raises what ``pages`` does."""
    found: list[Checked] = []
    async for page in pages(kube, kind, Checked, silence_s=SILENCE_S):
        found += page
    return sorted(found, key=lambda each: each.key)
