"""Datasources and StorageLocations: the health worker checks them; the jobs that name them are judged again."""

from __future__ import annotations

from typing import Any

from ..resources.common import Kind, Resource
from ..workers.backup_jobs import judge_dependents
from ..workers.context import Context
from ..workers.scheduler import Scheduler


async def seen(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It exists, or has changed."""
    context.catalog.put(kind, resource)
    await judge_dependents(context, scheduler, kind, resource)


async def gone(context: Context, scheduler: Scheduler, kind: Kind[Any], resource: Resource[Any, Any]) -> None:
    """It was deleted."""
    context.catalog.drop(kind, resource)
    await judge_dependents(context, scheduler, kind, resource)
