"""A sync before its start: its plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import SpecInvalid
from ..resources.backup import BackupJob
from ..resources.datasource import Datasource
from ..resources.masking import MaskedColumn, Masking
from ..resources.sync import DatabaseSyncExecution, DatabaseSyncJob
from . import plan as plans
from .masking import digest
from .naming import sync_backup_id, sync_backup_name
from .plan import BackupPlan, Endpoint, MaskingPlan, MaskingRule, SyncPlan
from .planning import Run, backup_plan, endpoint_of
from .restores import build_jobs
from .sync_jobs import Kept, refusal
from .targets import SecretFile, expected_target, targets_of


def sync_run(
    execution: DatabaseSyncExecution,
    job: DatabaseSyncJob,
    source: Datasource,
    target: Datasource,
    known: Iterable[Datasource],
    keeps: Kept | None = None,
) -> Run:
    """The run of one sync. Raises what ``refusal`` finds, and SpecInvalid when there are too many masking rules.

    ``known`` are the Datasources of the namespace.
    """
    if found := refusal(job, source, target, known):
        raise found
    spec, meta = job.spec, execution.metadata
    from_there, source_secrets = endpoint_of(source, "source")
    to_here, target_secrets = endpoint_of(target, "target")
    masking, key = _masking(spec.masking) if spec.masking else (None, ())
    targets, location_secrets, volumes = targets_of([keeps.location] if keeps else [], read_only=False)
    plan = SyncPlan(
        execution_id=meta.uid,
        execution_name=meta.name,
        namespace=meta.namespace,
        job_name=job.metadata.name,
        source=from_there,
        target=to_here,
        strategy=spec.strategy,
        keep_previous_seconds=spec.keep_previous_seconds,
        drop_existing=spec.drop_existing,
        expected=expected_target(spec.expected_target),
        lock_timeout_seconds=spec.lock_timeout_seconds,
        jobs=build_jobs(spec.run_template),
        capacity_bytes=target.spec.storage_capacity_bytes,
        masking=masking,
        backup=_backup(execution, keeps.job, from_there, targets) if keeps else None,
    )
    if not plans.fits(plan):
        raise SpecInvalid(
            f"spec.masking: no runner can be told of all {len(masking.rules) if masking else 0} rules and "
            f"{len(masking.allow) if masking else 0} allowed columns.",
            remedy="Shorten the expressions and lists in spec.masking.",
        )
    return Run(plan, (*source_secrets, *target_secrets, *key, *location_secrets), volumes)


def _backup(
    execution: DatabaseSyncExecution, job: BackupJob, source: Endpoint, targets: list[plans.Target]
) -> BackupPlan:
    meta = execution.metadata
    return backup_plan(
        job,
        source,
        targets,
        execution_id=sync_backup_id(meta.uid),
        execution_name=sync_backup_name(meta.uid),
        created=meta.creation_timestamp,
    )


def _masking(masking: Masking) -> tuple[MaskingPlan, tuple[SecretFile, ...]]:
    reference = masking.key_secret_ref
    key = SecretFile(reference.name, reference.key, "masking/key") if reference else None
    plan = MaskingPlan(
        digest=digest(masking),
        rules=[
            MaskingRule(
                schema=rule.table_schema,
                table=rule.table,
                column=rule.column,
                how=rule.how,
                value=rule.value,
                expression=rule.expression,
            )
            for rule in masking.rules
        ],
        require_all=masking.require_all,
        allow=[_column(each) for each in masking.allow],
        allow_large_objects=masking.allow_large_objects,
        key_file=key.mounted if key else None,
    )
    return plan, (key,) if key else ()


def _column(column: MaskedColumn) -> tuple[str, str, str]:
    return column.table_schema, column.table, column.column


def decided(plan: SyncPlan) -> dict[str, Any]:
    """What was decided, as fields of the run's status: the same before its start and after a restart."""
    return {"datasource": plan.target.datasource, "source": plan.source.datasource, "strategy": plan.strategy}
