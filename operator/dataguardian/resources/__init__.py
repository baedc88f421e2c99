"""What people write: the custom resources, as models. They are the source of the CRDs."""

from typing import Any

from . import backup, datasource, drill, restore, storage_location, sync
from .common import Kind

KINDS: tuple[Kind[Any], ...] = (
    datasource.KIND,
    storage_location.KIND,
    backup.BACKUP_JOB,
    backup.BACKUP_EXECUTION,
    restore.KIND,
    drill.KIND,
    sync.DATABASE_SYNC_JOB,
    sync.DATABASE_SYNC_EXECUTION,
)
