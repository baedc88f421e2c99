"""Datasources and StorageLocations: the health worker checks them; the jobs that name them are judged again."""

from __future__ import annotations

from typing import Any

from ..resources.common import Kind
from ..resources.datasource import Datasource
from ..resources.storage_location import StorageLocation
from ..workers import judging, recoverability
from ..workers.context import Context
from ..workers.scheduler import Scheduler

Checked = Datasource | StorageLocation


async def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Checked) -> None:
    """It exists, or has changed."""
    if judging.reference_seen(context, kind, resource) and isinstance(resource, StorageLocation):
        recoverability.locations_changed(context, resource.metadata.namespace)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Checked) -> None:
    """It was deleted."""
    judging.reference_gone(context, kind, resource)
    if isinstance(resource, StorageLocation):
        recoverability.locations_changed(context, resource.metadata.namespace)
