"""Objects → what one run needs: its plan, the secrets that become files, the volumes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from ..errors import SpecInvalid
from ..resources.backup import BackupExecution, BackupJob, DumpOptions
from ..resources.datasource import Datasource
from ..resources.storage_location import StorageLocation
from . import plan as plans
from .naming import backup_folder, is_older, job_folder
from .plan import (
    BackupPlan,
    CleanupPlan,
    CopyPlan,
    DatasourceProbe,
    Endpoint,
    ExpirePlan,
    IndexPlan,
    Plan,
    RetentionPolicy,
    StorageProbe,
    Target,
)
from .policies import unfinished_max_age
from .targets import SecretFile, Volume, is_read_only, refuse_same_places, staging_of, targets_of


@dataclass(frozen=True)
class Server:
    """A throw-away database server beside the runner in its pod; its image follows from both."""

    engine: str
    major: int


@dataclass(frozen=True)
class Run:
    """All that a runner's pod is made of beside the settings."""

    plan: Plan
    secret_files: tuple[SecretFile, ...]
    volumes: tuple[Volume, ...] = ()
    server: Server | None = None  # its socket is in SERVER_SOCKET_DIR, its disk in SERVER_DATA_DIR


def backup_run(
    execution: BackupExecution,
    job: BackupJob,
    datasource: Datasource,
    locations: Sequence[StorageLocation],
    retried: Sequence[BackupExecution] = (),
    in_use: Sequence[str] = (),
) -> Run:
    """The run of one backup to the locations of its job, in their order; read-only ones are left out.

    Its folder carries the execution's creation time, so that a retried pod finds it again. ``retried`` are the failed
    runs that it tries again, the latest first; what is older than ``retention.unfinishedMaxAge`` is not used any more.
    ``in_use`` are the folders that other runs need. Raises SpecInvalid when two places are one.
    """
    source, secrets = endpoint_of(datasource)
    written = [location for location in locations if not is_read_only(location)]
    refuse_same_places(locations, job)
    targets, target_secrets, volumes = targets_of(written, read_only=False)
    staging, staging_volumes = staging_of(job)
    meta, storage = execution.metadata, job.spec.storage
    plan = backup_plan(
        job,
        source,
        targets,
        execution_id=meta.uid,
        execution_name=meta.name,
        created=meta.creation_timestamp,
        strategy=storage.strategy,
        min_copies=storage.min_copies,
        staging=staging,
        retry_folders=[_folder(failed, job) for failed in retried if _is_of_use(failed, execution, job)],
        left_out=[location.metadata.name for location in locations if is_read_only(location)],
        in_use=list(in_use),
    )
    return Run(plan, (*secrets, *target_secrets), (*volumes, *staging_volumes))


def backup_plan(
    job: BackupJob,
    source: Endpoint,
    targets: list[Target],
    *,
    execution_id: str,
    execution_name: str,
    created: datetime,
    **details: Any,
) -> BackupPlan:
    """What becomes a backup of the job when it is stored in the targets, by whatever run that began then."""
    meta, spec = job.metadata, job.spec
    return BackupPlan(
        execution_id=execution_id,
        execution_name=execution_name,
        namespace=meta.namespace,
        job_name=meta.name,
        job_uid=meta.uid,
        folder=backup_folder(meta.namespace, meta.name, meta.uid, execution_id, created),
        source=source,
        targets=targets,
        codec=spec.compression.codec,
        level=spec.compression.level,
        verification=spec.verification,
        schemas=spec.options.schemas,
        include_tables=spec.options.include_tables,
        exclude_tables=spec.options.exclude_tables,
        **details,
    )


def backed_up(plan: BackupPlan) -> dict[str, Any]:
    """What was decided, as fields of the run's status: the same before its start and after a restart."""
    options = DumpOptions(schemas=plan.schemas, include_tables=plan.include_tables, exclude_tables=plan.exclude_tables)
    # A retry may complete a dump that was made when the job had other options.
    return {
        "datasource": plan.source.datasource,
        "options_digest": None if plan.retry_folders else options_digest(options),
    }


def options_digest(options: DumpOptions) -> str:
    """A text that is another one when another part of a database is dumped."""
    lists = [sorted(patterns) for patterns in (options.schemas, options.include_tables, options.exclude_tables)]
    return sha256(json.dumps(lists).encode()).hexdigest()[:16]


def datasource_probe(datasource: Datasource) -> Run:
    """The check of a database."""
    source, secrets = endpoint_of(datasource)
    return Run(DatasourceProbe(source=source), secrets)


def storage_probe(location: StorageLocation) -> Run:
    """The check of a storage location."""
    targets, secrets, volumes = targets_of([location], read_only=False)
    return Run(StorageProbe(target=targets[0], read_only=is_read_only(location)), secrets, volumes)


def index_run(locations: Sequence[StorageLocation], folder: str) -> Run:
    """The listing of the backups in a folder of each location."""
    targets, secrets, volumes = targets_of(locations, read_only=True)
    return Run(IndexPlan(folder=folder, targets=targets), secrets, volumes)


def cleanup_run(
    job: BackupJob,
    policy: RetentionPolicy,
    locations: Sequence[StorageLocation],
    *,
    unfinished_before: datetime | None = None,
    in_use: Sequence[str] = (),
    held: Mapping[str, str] | None = None,
    refuted: Sequence[str] = (),
) -> Run:
    """The judgement of all backups of a job, in all its locations. ``held``: see ``retention.judge``. ``refuted``: ids
    of those that count as damaged.

    What is left of runs from before ``unfinished_before`` goes too, but for the folders ``in_use``; it stays when these
    are too many for a plan. Raises SpecInvalid when the backups are.
    """
    targets, secrets, volumes = targets_of(locations, read_only=False)
    meta = job.metadata
    plan = CleanupPlan(
        folder=job_folder(meta.namespace, meta.name, meta.uid),
        policy=policy,
        targets=targets,
        read_only=[location.metadata.name for location in locations if is_read_only(location)],
        unfinished_before=unfinished_before.isoformat() if unfinished_before else None,
        in_use=[folder for folder in in_use if unfinished_before and is_older(folder, unfinished_before)],
        held=dict(held or {}),
        refuted=list(refuted),
    )
    if not plans.fits(plan):
        plan = msgspec.structs.replace(plan, unfinished_before=None, in_use=[])
    if not plans.fits(plan):
        raise SpecInvalid(
            f"No cleanup can be told of all {len(plan.held) + len(plan.refuted)} backups that restores hold or whose "
            "verification failed.",
            remedy="Confirm or delete RestoreRequests, and delete BackupExecutions whose backup is of no use.",
        )
    return Run(plan, secrets, volumes)


def copy_run(
    execution_id: str,
    manifest_key: str,
    job: BackupJob,
    sources: Sequence[StorageLocation],
    targets: Sequence[StorageLocation],
) -> Run:
    """The copying of one backup from the first source that has it whole to all targets."""
    all_targets, secrets, volumes = targets_of([*sources, *targets], read_only=False)
    plan = CopyPlan(
        backup_execution_id=execution_id,
        manifest_key=manifest_key,
        sources=all_targets[: len(sources)],
        targets=all_targets[len(sources) :],
        verification=job.spec.verification,
    )
    return Run(plan, secrets, volumes)


def expire_run(target: Datasource, previous: str) -> Run:
    """The removal of the databases that were this one before a Swap and whose time is over; one of them is told of."""
    endpoint, secrets = endpoint_of(target)
    return Run(ExpirePlan(target=endpoint, previous=previous), secrets)


def _is_of_use(failed: BackupExecution, retry: BackupExecution, job: BackupJob) -> bool:
    age = unfinished_max_age(job)
    return age is None or retry.metadata.creation_timestamp - failed.metadata.creation_timestamp < age


def _folder(execution: BackupExecution, job: BackupJob) -> str:
    meta = execution.metadata
    return backup_folder(meta.namespace, job.metadata.name, job.metadata.uid, meta.uid, meta.creation_timestamp)


def endpoint_of(datasource: Datasource, folder: str = "datasource") -> tuple[Endpoint, tuple[SecretFile, ...]]:
    """How a runner reaches a database, and the secrets that become files in this folder."""
    spec = datasource.spec
    credentials = spec.credentials_secret_ref
    username = SecretFile(credentials.name, credentials.username_key, f"{folder}/username")
    password = SecretFile(credentials.name, credentials.password_key, f"{folder}/password")
    secrets = [username, password]
    ca_file = None
    if spec.tls.ca_secret_ref:
        ca = SecretFile(spec.tls.ca_secret_ref.name, spec.tls.ca_secret_ref.key, f"{folder}/ca.crt")
        secrets.append(ca)
        ca_file = ca.mounted
    endpoint = Endpoint(
        datasource=datasource.metadata.name,
        engine=spec.engine,
        host=spec.host,
        port=spec.port,
        database=spec.database,
        username_file=username.mounted,
        password_file=password.mounted,
        tls_mode=spec.tls.mode,
        ca_file=ca_file,
    )
    return endpoint, tuple(secrets)
