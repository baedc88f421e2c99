"""The row of a restore, a verification and a dry run: on a real API server and a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.report import Preview, Report, Verification
from dataguardian.errors import VerificationFailed
from dataguardian.resources import datasource, restore
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.restore import VERIFY_PHRASE, RestoreRequest
from dataguardian.workers import dispatcher, recorder
from dataguardian.workers.context import now

from . import stored
from .recording import RESTORE, Operator, Place

VERIFY: dict[str, Any] = {"verificationMode": True, "confirmationPhrase": VERIFY_PHRASE}
FIGURES = Verification(passed=True, tables=3, rows=40, sequences=1, sampled_rows=30)
PREVIEW = Preview(
    backup_tables=3,
    backup_rows=40,
    backup_bytes=1000,
    backup_time="2026-11-24T02:00:00Z",
    target_version="17.2",
    target_tables=0,
    target_rows=0,
    target_bytes=10,
)


@pytest.fixture
async def operator(place: Place) -> Operator:
    """An operator, in a namespace with a backup and its datasource."""
    found = place.operator()
    await stored.location(found.context, place.namespace)
    job = await stored.job(found.context, place.namespace)
    await stored.entry(found.context, job, datasource="orders")
    spec = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    await stored.make(place.kube, datasource.KIND, place.namespace, "orders", spec, {})
    await dispatcher.take_over(found.context)
    return found


async def queued(operator: Operator, place: Place, **spec: Any) -> RestoreRequest:
    """A RestoreRequest that has been accepted."""
    whole = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR", **spec}
    run = RestoreRequest.read(await stored.make(place.kube, restore.KIND, place.namespace, "back", whole, {}))
    await dispatcher.accept(operator.context, RESTORE, run)
    return run


async def end(operator: Operator, run: RestoreRequest, report: Report) -> None:
    ended = await recorder.end(operator.context, RESTORE, run, report, ended_at=now())
    recorder.record_state(operator.context, RESTORE, ended)
    await operator.write()


async def test_a_restore_has_a_row_from_the_beginning_which_learns_its_job_and_datasource_in_the_line(
    operator: Operator, place: Place
) -> None:
    columns = "operation, trigger, status, job, datasource"
    run = await queued(operator, place)
    await operator.write()
    first = place.recorded(columns)[0]
    spec, status = {"backupJobRef": {"name": "nightly"}}, {"phase": "Running", "datasource": "orders"}
    busy = await stored.make(place.kube, BACKUP_EXECUTION, place.namespace, "busy", spec, status)
    operator.context.catalog.put(BACKUP_EXECUTION, BACKUP_EXECUTION.model.read(busy))

    await dispatcher.dispatch_known(operator.context, RESTORE, run)
    for row in operator.context.unwritten.values():
        await operator.context.history.record(row)

    assert first == ("restore", "manual", "queued", None, None)
    assert place.recorded(columns)[0] == ("restore", "manual", "queued", "nightly", "orders")


async def test_the_figures_of_a_verification_are_kept_whatever_it_found(operator: Operator, place: Place) -> None:
    run = await queued(operator, place, **VERIFY)
    report = reports.failed(VerificationFailed("One row differs.", remedy="Restore another backup."), "check")

    await end(operator, run, msgspec.structs.replace(report, verification=FIGURES))

    columns = "operation, status, error_code, metadata -> 'verification' ->> 'rows', metadata ? 'dry_run'"
    assert place.recorded(columns)[0] == ("verify", "failed", "verification-failed", "40", False)


async def test_a_dry_run_is_recorded_as_one_with_its_preview(operator: Operator, place: Place) -> None:
    run = await queued(operator, place, dryRun=True)

    await end(operator, run, Report(completed=True, preview=PREVIEW))

    columns = "operation, metadata -> 'dry_run', metadata -> 'preview' ->> 'backupRows'"
    assert place.recorded(columns)[0] == ("restore", True, "40")


async def test_a_run_of_a_drill_has_the_trigger_of_its_schedule_and_waits_behind_manual_ones(
    operator: Operator, place: Place
) -> None:
    spec = {**VERIFY, "backupExecutionRef": None, "restoreDrillRef": {"name": "weekly"}, "trigger": "Schedule"}

    await queued(operator, place, **spec)
    await operator.write()

    assert place.recorded("operation, trigger")[0] == ("verify", "schedule")
    waiting = await operator.context.queue.take(RESTORE.queue, "scheduled", count=100)
    assert place.namespace in [entry.namespace for entry in waiting]


async def test_a_safety_backup_has_a_trigger_of_its_own(operator: Operator, place: Place) -> None:
    job = operator.context.catalog.all(BACKUP_JOB)[0]
    spec = {"backupJobRef": {"name": job.metadata.name}, "trigger": "Safety"}
    await stored.make(place.kube, BACKUP_EXECUTION, place.namespace, "safety", spec, {"phase": "Queued"})

    await place.operator().write()

    assert ("safety", "safety") in place.recorded("name, trigger")
