"""A restore before its start: which backup, which of its copies first, where to, and its plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..errors import EngineMismatch, NoCopyAvailable, NoRecentBackup, RestoreRefused, SpecInvalid
from ..resources.backup import BackupExecution, BackupJob, Copy
from ..resources.common import seconds_of
from ..resources.datasource import Datasource
from ..resources.drill import RestoreDrill
from ..resources.restore import RestoreRequest
from ..resources.run_template import RunTemplate
from ..resources.storage_location import StorageLocation
from .catalogue import STORED, Entry
from .naming import human_seconds, major_of
from .plan import (
    SERVER_DATA_DIR,
    SERVER_SOCKET_DIR,
    Endpoint,
    EphemeralServer,
    RestorePlan,
    RestoreSource,
)
from .planning import Run, Server, endpoint_of
from .safety import safety_backup
from .status import is_terminal
from .targets import SecretFile, expected_target, is_read_only, targets_of

JOBS = 2  # connections that build indexes, when nothing says how many processors there are
MOST_JOBS = 8
READ_HOLD, SAFETY_HOLD = "restore", "safetyBackup"  # in keptBy, before the name of the RestoreRequest
# The better a location answers, the earlier its copy is read; one that is full can be read.
ORDER: Mapping[str | None, int] = {"Available": 0, None: 1, "Full": 2, "Unreachable": 3}


@dataclass(frozen=True)
class CopyAt:
    """A copy of a backup: where it is, and the key of its manifest there."""

    location: StorageLocation
    key: str


def stored_copies(backup: BackupExecution, wanted: str | None) -> list[Copy]:
    """The copies that a restore may read, only that of the ``wanted`` location if one is named.

    Raises NoCopyAvailable, which says where copies are.
    """
    found = [copy for copy in backup.status.copies if copy.state == STORED and wanted in (None, copy.location)]
    if found:
        return found
    there = ", ".join(f"{copy.location} ({copy.state})" for copy in backup.status.copies) or "none"
    raise NoCopyAvailable(
        f"BackupExecution {backup.metadata.name!r} has no stored copy"
        + (f" in StorageLocation {wanted!r}." if wanted else "."),
        remedy=f"Restore another backup, or another copy of this one. Its copies: {there}.",
    )


def refuse_strange_key(namespace: str, key: str) -> None:
    """Raise RestoreRefused for the key of another namespace's backup: namespaces may share a bucket, and who may
    restore here need not be allowed to see what is there."""
    if not key.startswith(f"{namespace}/") or ".." in key.split("/"):
        raise RestoreRefused(
            f"spec.source.key: {key!r} is not in the folder of namespace {namespace!r}.",
            remedy=f"Name a manifest below {namespace}/, or restore in the namespace whose backup it is.",
        )


def best_first(
    copies: Iterable[Copy], locations: Mapping[str, StorageLocation | None], job: BackupJob | None
) -> list[CopyAt]:
    """The copies whose location exists: by how well it answers, then in the order of the job's locations."""
    named = [location.name for location in job.spec.storage.locations] if job else []
    places = {name: place for place, name in enumerate(named)}
    found = [CopyAt(location, copy.key) for copy in copies if (location := locations.get(copy.location))]
    return sorted(
        found,
        key=lambda copy: (ORDER[copy.location.status.phase], places.get(copy.location.metadata.name, len(places))),
    )


def at_key(entries: Iterable[Entry], location: str, key: str) -> Entry | None:
    """The backup that the catalogue has under this key of the location, if it has one."""
    return next(
        (
            entry
            for entry in entries
            if entry.phase == "Completed" and any((copy.location, copy.key) == (location, key) for copy in entry.copies)
        ),
        None,
    )


def newest(drill: RestoreDrill, entries: Iterable[Entry], *, now: datetime) -> Entry:
    """The newest of the stored backups, by the moment of its data. Raises NoRecentBackup when it is too old.

    One that is dated in the future, by a wrong clock, would be the newest for ever.
    """
    stored = [entry for entry in entries if entry.phase == "Completed" and entry.stored and entry.dumped <= now]
    found = max(stored, key=lambda entry: (entry.dumped, entry.name), default=None)
    age, job = drill.spec.max_backup_age, drill.spec.backup_job_ref.name
    if found is not None and now - found.dumped <= timedelta(seconds=seconds_of(age)):
        return found
    if found is None:
        what = f"BackupJob {job!r} has no stored backup."
    else:
        old = human_seconds((now - found.dumped).total_seconds())
        what = f"The newest backup of BackupJob {job!r}, {found.name!r}, is {old} old; maxBackupAge is {age}."
    raise NoRecentBackup(what, remedy="Find out why no younger backup was made, and run the BackupJob.")


def refuse_other_engine(source: Datasource | None, target: Datasource) -> None:
    """Raise EngineMismatch when what was backed up is known to be of another kind of database than the target."""
    if source is not None and source.spec.engine != target.spec.engine:
        raise EngineMismatch(
            f"The backup is of {source.spec.engine}; Datasource {target.metadata.name!r} is {target.spec.engine}.",
            remedy="Name a Datasource of the same engine in spec.targetDatasourceRef.",
        )


def expected_seconds(job: BackupJob | None, dump_bytes: int | None) -> int | None:
    """How long a restore of so many bytes takes, by the last one of the job; None when none is known."""
    known = job.status.recoverability if job else None
    if known is None or known.restore_seconds is None or not known.restored_bytes or dump_bytes is None:
        return None
    return round(known.restore_seconds * dump_bytes / known.restored_bytes)


def build_jobs(template: RunTemplate) -> int:
    """How many connections build indexes at once: as many as the pod has whole processors, if it has a limit."""
    cpu = str(((template.resources or {}).get("limits") or {}).get("cpu", ""))
    milli = cpu.removesuffix("m")
    if not milli.isdecimal():
        return JOBS
    whole = int(milli) // 1000 if cpu.endswith("m") else int(milli)
    return min(max(whole, 1), MOST_JOBS)


def server_for(backup: BackupExecution | None, source: Datasource | None) -> Server:
    """The throw-away server that a backup is verified on. Raises SpecInvalid when the catalogue does not tell which.

    ``source`` is what was backed up; without it the engine is the only one that there is.
    """
    major = major_of((backup.status.engine_version if backup else None) or "")
    if not major:
        raise SpecInvalid(
            "The catalogue does not tell which version of the server was backed up.",
            remedy="Verify with verificationTarget Datasource, or verify a younger backup.",
        )
    return Server(source.spec.engine if source else "postgresql", major)


def restore_run(
    request: RestoreRequest,
    backup: BackupExecution | None,
    copies: Sequence[CopyAt],
    target: Datasource | Server,
    job: BackupJob | None = None,
) -> Run:
    """The run of one restore from the first of the copies that can be read, or of one verification.

    ``backup`` and ``job`` are None as far as the catalogue does not know them.
    """
    spec, meta = request.spec, request.metadata
    endpoint, secrets = _throw_away(target) if isinstance(target, Server) else endpoint_of(target)
    # The proof of a verification is written beside the backup.
    proves = spec.verification_mode and not spec.dry_run
    targets, target_secrets, volumes = targets_of([copy.location for copy in copies], read_only=not proves)
    plan = RestorePlan(
        execution_id=meta.uid,
        execution_name=meta.name,
        namespace=meta.namespace,
        backup_execution_id=backup.execution_id if backup else None,
        backup_execution_name=backup.metadata.name if backup else None,
        backup_job=backup.spec.backup_job_ref.name if backup else None,
        sources=[
            RestoreSource(target=place, manifest_key=copy.key, read_only=is_read_only(copy.location))
            for place, copy in zip(targets, copies, strict=True)
        ],
        target=endpoint,
        capacity_bytes=target.spec.storage_capacity_bytes if isinstance(target, Datasource) else None,
        jobs=build_jobs(job.spec.run_template if job else RunTemplate()),
        expected_seconds=expected_seconds(job, backup.status.dump_bytes if backup else None),
        **_asked_for(request),
    )
    return Run(plan, (*secrets, *target_secrets), volumes, target if isinstance(target, Server) else None)


def _asked_for(request: RestoreRequest) -> dict[str, Any]:
    spec = request.spec
    return {
        "drop_existing": spec.drop_existing,
        "dry_run": spec.dry_run,
        "verify": spec.verification_mode,
        "keep_database": spec.keep_verification_database,
        "expected": expected_target(spec.expected_target),
        "lock_timeout_seconds": spec.lock_timeout_seconds,
        "atomic": spec.atomic,
    }


def _throw_away(server: Server) -> tuple[EphemeralServer, tuple[SecretFile, ...]]:
    return EphemeralServer(engine=server.engine, socket_dir=SERVER_SOCKET_DIR, data_dir=SERVER_DATA_DIR), ()


def decided(request: RestoreRequest, plan: RestorePlan) -> dict[str, Any]:
    """What was decided, as fields of the run's status: the same before its start and after a restart."""
    return {
        "datasource": plan.target.datasource if isinstance(plan.target, Endpoint) else None,
        "backup_execution": plan.backup_execution_name,
        "backup_job": plan.backup_job,
        "storage_location": plan.sources[0].target.location,
        "safety_backup": safety_backup(request),
    }


def held_by(request: RestoreRequest) -> dict[str, str] | None:
    """Name of each BackupExecution that retention keeps for the request → why; None when it lets go for good.

    What it reads stays until it has ended: else the backup of its target could push that out. With a safety backup both
    stay until somebody has confirmed the restore, so that one that failed can be tried again.
    """
    spec, status, name = request.spec, request.status, request.metadata.name
    safety = None if spec.confirmed else safety_backup(request)
    if safety is None and is_terminal(status):
        return None
    read = status.backup_execution or (spec.backup_execution_ref.name if spec.backup_execution_ref else None)
    return {
        **({read: f"{READ_HOLD} {name}"} if read else {}),
        **({safety: f"{SAFETY_HOLD} {name}"} if safety else {}),
    }


def is_hold(rule: str) -> bool:
    """Whether what keeps a backup is a restore, and no rule of its job."""
    return rule.partition(" ")[0] in (READ_HOLD, SAFETY_HOLD)
