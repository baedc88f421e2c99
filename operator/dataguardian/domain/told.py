"""What a runner tells of backups beside its report: lines of its log that the operator acts on."""

from __future__ import annotations

from typing import Any

import msgspec


class ManifestFound(msgspec.Struct, frozen=True, kw_only=True, tag="manifest_found", tag_field="action"):
    """An index found a backup. Sizes in bytes, times RFC 3339 in UTC; see ``domain.manifest``."""

    location: str
    key: str  # of the manifest, below the location's prefix
    execution_id: str
    execution_name: str
    namespace: str
    backup_job: str
    backup_job_uid: str
    datasource: str
    engine: str
    engine_version: str
    database: str
    checksum: str
    dump_bytes: int
    stored_bytes: int
    started_at: str
    completed_at: str
    whole: bool  # whether every stored object is there with its size


class BackupKept(msgspec.Struct, frozen=True, kw_only=True, tag="backup_kept", tag_field="action"):
    """Retention keeps a backup, by these rules."""

    execution_id: str
    execution_name: str
    kept_by: list[str]


class BackupRemoved(msgspec.Struct, frozen=True, kw_only=True, tag="backup_removed", tag_field="action"):
    """Retention deleted a copy."""

    execution_id: str
    execution_name: str
    location: str
    key: str
    reason: str  # for people: which policy no longer keeps it


class RemovalDeferred(msgspec.Struct, frozen=True, kw_only=True, tag="removal_deferred", tag_field="action"):
    """A copy that no rule keeps is still stored: its location is read-only, locked or away, or deleting is off."""

    execution_id: str
    execution_name: str
    location: str
    key: str
    reason: str


class UnfinishedRemoved(msgspec.Struct, frozen=True, kw_only=True, tag="unfinished_removed", tag_field="action"):
    """A cleanup deleted what a run had left that never completed."""

    location: str
    folder: str  # its path below the location's prefix
    stored_bytes: int


class DatabaseSwept(msgspec.Struct, frozen=True, kw_only=True, tag="database_swept", tag_field="action"):
    """A check or an expiry dropped a database of a verification or a sync that is over."""

    database: str


class PreviousDropped(msgspec.Struct, frozen=True, kw_only=True, tag="previous_dropped", tag_field="action"):
    """A check or an expiry dropped what was a target before a Swap."""

    database: str


Told = (
    ManifestFound | BackupKept | BackupRemoved | RemovalDeferred | UnfinishedRemoved | DatabaseSwept | PreviousDropped
)


def fields(told: Told) -> dict[str, Any]:
    """The fields of the line, its action among them."""
    return dict(msgspec.to_builtins(told))


def read(line: bytes) -> Told | None:
    """What a line of the log tells; None for all other lines."""
    try:
        told: Told = msgspec.json.decode(line, type=Told)
    except msgspec.DecodeError:
        return None
    return told
