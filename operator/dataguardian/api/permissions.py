"""Which rights in the cluster each permission of the API is: the one table.

A permission is had in a namespace when the cluster's own RBAC grants all of its rights there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ..kube.rbac import AUDIT, RESTORE, RESTORE_VERIFY
from ..resources.common import GROUP

Permission = Literal[
    "health.read",
    "dashboard.read",
    "backup_jobs.read",
    "backup_jobs.run",
    "db_sync_jobs.read",
    "db_sync_jobs.run",
    "executions.read",
    "executions.control",
    "backups.read",
    "backups.restore",
    "backups.restore_verify",
    "audit.read",
]


@dataclass(frozen=True)
class Right:
    """A verb on our resources of one plural, as a SubjectAccessReview asks for it."""

    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}.{GROUP}"


_RUNS = ("backupexecutions", "restorerequests", "databasesyncexecutions")

RIGHTS: Mapping[Permission, tuple[Right, ...]] = {
    "health.read": (Right("list", "datasources"), Right("list", "storagelocations")),
    "dashboard.read": tuple(Right("list", each) for each in ("backupjobs", "databasesyncjobs", *_RUNS)),
    "backup_jobs.read": (Right("list", "backupjobs"),),
    "backup_jobs.run": (Right("create", "backupexecutions"),),
    "db_sync_jobs.read": (Right("list", "databasesyncjobs"),),
    "db_sync_jobs.run": (Right("create", "databasesyncexecutions"),),
    "executions.read": tuple(Right("list", runs) for runs in _RUNS),
    "executions.control": tuple(Right("patch", runs) for runs in _RUNS),
    "backups.read": (Right("list", "backupexecutions"),),
    "backups.restore": (Right("create", "restorerequests"), Right(RESTORE, "backupexecutions")),
    "backups.restore_verify": (Right("create", "restorerequests"), Right(RESTORE_VERIFY, "backupexecutions")),
    "audit.read": (Right("list", AUDIT),),
}
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
