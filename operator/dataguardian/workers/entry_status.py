"""The status of an entry: changed in its object, and known at once in memory and, before long, in history."""

from __future__ import annotations

from collections.abc import Callable

from ..domain.catalogue import Entry
from ..kube.status import change_status
from ..resources.backup import BACKUP_EXECUTION, BackupExecution, BackupExecutionStatus
from . import rows
from .context import Context, now
from .operations import RUN_KINDS

Change = Callable[[BackupExecutionStatus], BackupExecutionStatus | None]


async def read_entry(context: Context, entry: Entry) -> BackupExecution | None:
    """The object of an entry as it is now; None when it is gone, and then the entry is too."""
    execution = await context.catalog.read(BACKUP_EXECUTION, entry.namespace, entry.name)
    if execution is not None and execution.metadata.uid == entry.uid:
        return execution
    context.catalog.entries.forget(entry)
    return None


async def change_entry(context: Context, entry: Entry, change: Change) -> None:
    """Change the status of an entry whose object is still there."""
    execution = await read_entry(context, entry)
    if execution is not None:
        await change_execution(context, execution, change)


async def change_execution(context: Context, execution: BackupExecution, change: Change) -> BackupExecution:
    """Change the status of a BackupExecution and return it as it is then. Raises what ``change_status`` raises."""
    changed = await change_status(context.kube, BACKUP_EXECUTION, execution, lambda current: change(current.status))
    context.catalog.put(BACKUP_EXECUTION, changed)
    row = rows.row_of(RUN_KINDS["backup"], changed, observed_at=now())
    if row is not None:
        rows.keep(context, row)
    return changed
