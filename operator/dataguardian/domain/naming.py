"""Names that DataGuardian makes: deterministic, so that doing something twice is doing it once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

MANAGED_BY = "app.kubernetes.io/managed-by"
PROGRAM = "dataguardian"
LEASE = f"{PROGRAM}-operator"  # in the operator's own namespace: its holder is the one operator that works
OPERATION = "dataguardian.io/operation"
OWNER_UID = "dataguardian.io/owner-uid"
OWNER_NAME = "dataguardian.io/owner-name"
DATASOURCE = "dataguardian.io/datasource"
GENERATION = "dataguardian.io/generation"  # of the owner, when its Kubernetes Job was made
HELD = "dataguardian.io/held"  # ids of backups that restores held, when a cleanup was made
REFUTED = "dataguardian.io/refuted"  # ids of backups whose verification had failed by then
BEGAN = "dataguardian.io/began"  # when a Kubernetes Job was made, by the operator's clock
RESTORE_REQUEST = "dataguardian.io/restore-request"  # label of a safety backup: the RestoreRequest that asked for it
# Label of the entry of a backup that a sync kept its dump as: the DatabaseSyncExecution.
SYNC_EXECUTION = "dataguardian.io/database-sync-execution"
INDEX_REQUESTED = "dataguardian.io/index-requested"  # of a StorageLocation: any new value asks for a listing
CONTAINER = "runner"  # of a run's pod
VERIFICATION = "dg_verify"  # temporary databases begin with it
VERIFICATION_MARK = "dataguardian-verification"
KEPT_MARK = " kept"
SYNC = "dg_sync"  # new databases of a Swap begin with it, until they take the target's name
SYNC_MARK = "dataguardian-sync"
PREVIOUS = "dg_previous"  # and what was the target before
PREVIOUS_MARK = "dataguardian-previous"
MASKED_MARK = "masked by rules"  # a line of a masked database's comment begins with it; the digest follows
TIME_DIGITS = 14  # and end with so many
NAME_BYTES = 63  # of a database's name

RunOperation = Literal["backup", "restore", "sync"]  # of run objects
# The others are done for an object that exists.
Operation = RunOperation | Literal["probe", "copy", "cleanup", "index", "expire"]


def slot_run_name(job: str, slot: datetime) -> str:
    """The run object of a scheduled slot: the API server's 409 makes it run once."""
    return f"{job}-{slot.astimezone(UTC):%Y%m%d%H%M}"


def safety_run_name(request_uid: str) -> str:
    """The backup of the target that a RestoreRequest asks for before it starts: there is one."""
    return f"safety-{request_uid}"


def sync_backup_id(sync_uid: str) -> str:
    """The id of the backup that a sync keeps its dump as: it has no run object of its own while it is made."""
    return str(uuid5(UUID(sync_uid), "backup"))


def sync_backup_name(sync_uid: str) -> str:
    """The BackupExecution that becomes its entry."""
    return f"sync-{sync_uid}"


def is_sync_backup(name: str, execution_id: str) -> bool:
    """Whether an execution of this name and id is a backup that a sync has kept."""
    prefix, _, uid = name.partition("-")
    try:
        return prefix == "sync" and execution_id == sync_backup_id(uid)
    except ValueError:
        return False


def kubernetes_job_name(operation: Operation, run: str) -> str:
    """The Kubernetes Job of a run; the operation parts a backup and a restore of the same name."""
    return f"{operation}-{run}"


def backup_folder(namespace: str, job: str, job_uid: str, execution_uid: str, started: datetime) -> str:
    """Where a backup is stored below its location's prefix: validated names and UIDs only."""
    return f"{job_folder(namespace, job, job_uid)}/{run_folder(execution_uid, started)}"


def run_folder(execution_uid: str, started: datetime) -> str:
    """The last part of it."""
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{execution_uid[:8]}"


def folder_time(name: str) -> datetime | None:
    """When the run was created whose folder has this name; None for a folder that no run has made."""
    found = re.fullmatch(r"((?:19|20|21)[0-9]{6}T[0-9]{6}Z)-[0-9a-f]{8}", name)
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def is_older(name: str, before: datetime) -> bool:
    """Whether a folder is that of a run which was created before this moment."""
    time = folder_time(name)
    return time is not None and time < before


def job_folder(namespace: str, job: str, job_uid: str) -> str:
    """Where all backups of a job are stored below their location's prefix."""
    return f"{namespace}/{job}-{job_uid[:8]}"


def job_of_key(key: str) -> str:
    """The job whose backup has a manifest with this key; empty for a key that no run of one has made."""
    parts = key.split("/")
    return parts[1].rpartition("-")[0] if len(parts) > 2 else ""


def database_beside(prefix: str, database: str, digits: str) -> str:
    """A database of ours beside another one: ``<prefix>_<database>_<14 digits of its time>``.

    PostgreSQL's names end at 63 bytes, so the database's own name is cut where a character ends.
    """
    kept = database.encode()[: NAME_BYTES - len(f"{prefix}__") - TIME_DIGITS].decode(errors="ignore")
    return f"{prefix}_{kept}_{digits}"


def verification_comment(execution_id: str, *, kept: bool = False) -> str:
    """What marks a temporary database as one of ours; one that is kept nobody but a person removes."""
    return f"{VERIFICATION_MARK} {execution_id}{KEPT_MARK if kept else ''}"


def sync_comment(execution_id: str) -> str:
    """The same of the new database of a Swap: the first line of its comment."""
    return f"{SYNC_MARK} {execution_id}"


def previous_comment(execution_id: str, until: str, database: str) -> str:
    """The same of what was this database before a Swap, and until when it is kept."""
    return f"{PREVIOUS_MARK} {execution_id} {until} {database}"


def kept_until(digits: str, seconds: int) -> str:
    """When something is over that is kept for so long from the time of these digits on, RFC 3339."""
    began = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return f"{began + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def quoted_name(name: str) -> str:
    """A name as a person writes it in SQL."""
    return '"' + name.replace('"', '""') + '"'


def major_of(version: str) -> int:
    """The major version of a database server or program; 18beta2 is of major 18."""
    found = re.match("[0-9]+", version)
    return int(found[0]) if found else 0


def human_bytes(size: int) -> str:
    """A size for people: ``273 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """A duration for people: ``1h2m3s``, as kubectl prints them."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [(hours, "h"), (minutes, "m"), (rest, "s")]
    text = "".join(f"{value}{unit}" for value, unit in parts if value)
    return text or "0s"
