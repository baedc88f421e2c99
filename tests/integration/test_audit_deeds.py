"""What the operator does to data is in the audit log, once: on a real API server and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, LiteralString

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain.naming import GENERATION
from dataguardian.domain.told import DatabaseSwept, PreviousDropped, Told
from dataguardian.errors import LoadFailed, SpecInvalid
from dataguardian.history.verify import verify
from dataguardian.kube.client import jobs_path, objects_path
from dataguardian.resources import datasource, restore
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.restore import VERIFY_PHRASE, RestoreRequest
from dataguardian.workers import dispatcher, health, recorder, rows, side_jobs
from dataguardian.workers.audit_head import AuditHead
from dataguardian.workers.cleanup import CLEANUP
from dataguardian.workers.context import now
from dataguardian.workers.heal import COPY, TARGETS
from dataguardian.workers.side_jobs import Ended

from . import side_pods, stored
from .ended import a_moment_ago, sync_run
from .kubelet import Kubelet
from .recording import RESTORE, Operator, Place
from .synced import make_datasource

VERIFY = {"verificationMode": True, "confirmationPhrase": VERIFY_PHRASE}


def told(place: Place, columns: LiteralString = "action, outcome") -> list[tuple[Any, ...]]:
    """Columns of the rows of this namespace, in order."""
    query = "SELECT namespace, " + columns + " FROM audit_logs ORDER BY seq"
    return [row[1:] for row in place.server.rows(place.database, query) if row[0] == place.namespace]


async def running(operator: Operator, place: Place, **spec: Any) -> RestoreRequest:
    """A restore whose Kubernetes Job was made."""
    await stored.location(operator.context, place.namespace)
    job = await stored.job(operator.context, place.namespace)
    await stored.entry(operator.context, job, datasource="orders")
    host = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    await stored.make(place.kube, datasource.KIND, place.namespace, "orders", host, {})
    await dispatcher.take_over(operator.context)
    whole = {"backupExecutionRef": {"name": "nightly-1"}, "confirmationPhrase": "RESTAURAR", **spec}
    run = RestoreRequest.read(await stored.make(place.kube, restore.KIND, place.namespace, "back", whole, {}))
    await dispatcher.accept(operator.context, RESTORE, run)
    return await read(operator, place)


async def started(operator: Operator, place: Place, run: RestoreRequest) -> RestoreRequest:
    await dispatcher.dispatch(operator.context, RESTORE, run)
    return await read(operator, place)


async def read(operator: Operator, place: Place) -> RestoreRequest:
    found = await operator.context.catalog.read(restore.KIND, place.namespace, "back")
    assert found is not None
    return found


async def end(operator: Operator, run: RestoreRequest, report: reports.Report) -> None:
    ended = await recorder.end(operator.context, RESTORE, run, report, ended_at=now())
    recorder.record_state(operator.context, RESTORE, ended)


async def test_a_restore_has_a_row_at_its_start_and_one_at_its_end(place: Place) -> None:
    operator = place.operator()
    run = await started(operator, place, await running(operator, place))
    await rows.write_waiting(operator.context)
    at_start = told(place, "action, outcome, object_kind, object_name, detail")

    await end(operator, run, reports.failed(LoadFailed("It broke.", remedy="Look."), "load"))
    await rows.write_waiting(operator.context)

    about = {"backup": "nightly-1", "target": "orders", "trigger": "Manual"}
    assert at_start == [("restore.started", "success", "RestoreRequest", "back", about)]
    assert told(place, "action, outcome, detail")[1:] == [
        ("restore.ended", "failed", {**about, "phase": "Failed", "code": "load-failed"})
    ]
    assert {str(execution) for (execution,) in told(place, "execution_id")} == {run.metadata.uid}
    assert {who for (who,) in told(place, "who")} == {"dataguardian"}


@pytest.mark.parametrize("spec", [VERIFY, {"dryRun": True}])
async def test_what_changes_no_target_has_no_row(place: Place, spec: dict[str, Any]) -> None:
    operator = place.operator()
    run = await started(operator, place, await running(operator, place, **spec))

    await end(operator, run, reports.failed(LoadFailed("It broke.", remedy="Look."), "load"))
    await operator.write()

    assert run.status.phase == "Running"
    assert told(place) == []


async def test_a_restore_that_is_refused_before_it_starts_has_no_row(place: Place) -> None:
    operator = place.operator()
    run = await running(operator, place)

    await recorder.fail(operator.context, RESTORE, run, SpecInvalid("No.", remedy="Look."))
    await operator.write()

    assert told(place) == []


async def test_the_rows_of_a_sync_are_found_again_after_a_restart_and_are_there_once(place: Place) -> None:
    ended = {"phase": "Completed", "startTime": a_moment_ago(), "completionTime": a_moment_ago()}
    await sync_run(place.kube, place.namespace, "first", **ended)

    for _ in range(2):
        operator = place.operator()
        await operator.write()
        await rows.write_waiting(operator.context)

    assert told(place, "action, outcome, object_name") == [
        ("sync.started", "success", "first"),
        ("sync.ended", "success", "first"),
    ]
    await verify(place.history)


async def test_a_database_that_a_check_dropped_is_told_once_it_can_be_written(place: Place, node: Kubelet) -> None:
    context = place.operator().context
    checked = await make_datasource(context, place.namespace, "staging")
    context.catalog.put(datasource.KIND, checked)
    await health.check_all(context)
    (job,) = (await place.kube.list(jobs_path(place.namespace)))[0]
    lines: list[Told] = [PreviousDropped(database="dg_previous_a_1"), DatabaseSwept(database="dg_verify_a_1")]
    report = reports.Report(completed=True, engine_version="17.2", latency_ms=1)
    side_jobs.observe(context, "MODIFIED", await side_pods.end(place.kube, node, job, report, lines))

    await asyncio.to_thread(place.server.stop)
    await health.check_all(context)
    still_there = side_jobs.is_open(context, place.namespace, job["metadata"]["name"])
    place.server.start()
    context.pauses.forget(("end", job["metadata"]["uid"]))
    await health.check_all(context)

    assert still_there
    assert not side_jobs.is_open(context, place.namespace, job["metadata"]["name"])
    assert told(place, "action, object_kind, object_name, detail") == [
        ("previous_database.dropped", "Datasource", "staging", {"database": "dg_previous_a_1"}),
        ("temporary_database.dropped", "Datasource", "staging", {"database": "dg_verify_a_1"}),
    ]


async def test_a_copy_that_was_made_again_is_told_once_and_one_that_failed_is_not(place: Place) -> None:
    context = place.operator().context
    job = await stored.job(context, place.namespace, "primary", "offsite", "third")
    lacking = {"primary": "Stored", "offsite": "Failed", "third": "Failed"}
    entry = await stored.entry(context, job, copies=lacking)
    copies = [
        reports.StoredCopy(location="offsite", key="a/manifest.json", stored=True),
        reports.StoredCopy(location="third", key="a/manifest.json", stored=False),
    ]
    ended = Ended(
        kind=BACKUP_EXECUTION.name,
        namespace=place.namespace,
        name=entry.metadata.name,
        uid=entry.metadata.uid,
        began=datetime(2026, 11, 24, tzinfo=UTC),
        notes={TARGETS: "offsite,third"},
        report=reports.Report(completed=False, copies=copies),
    )

    for _ in range(2):
        await COPY.ended(context, ended)
        await rows.write_waiting(context)

    assert told(place, "action, object_name, detail") == [
        ("backup.copied", entry.metadata.name, {"location": "offsite", "key": "a/manifest.json"})
    ]


@pytest.mark.parametrize("there_is_another", [False, True])
async def test_what_a_cleanup_removed_is_told_also_when_its_job_was_deleted_meanwhile(
    place: Place, *, there_is_another: bool
) -> None:
    context = place.operator().context
    job = await stored.job(context, place.namespace)
    entry = await stored.entry(context, job)
    if not there_is_another:
        await context.kube.delete(objects_path(BACKUP_JOB, place.namespace, "nightly"))
    ended = Ended(
        kind=BACKUP_JOB.name,
        namespace=place.namespace,
        name="nightly",
        uid="of-the-job-that-was-deleted",
        began=datetime(2026, 11, 24, tzinfo=UTC),
        notes={GENERATION: "1"},
        report=reports.Report(completed=True, backups=0, expired=0),
        told=[stored.removed(entry, "primary")],
    )

    for _ in range(2):
        await CLEANUP.ended(context, ended)

    assert told(place, "action, object_name, detail ->> 'backup_job'") == [
        ("backup.removed", entry.metadata.name, "nightly")
    ]


async def test_the_head_is_told_once_a_day(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dataguardian.workers.audit_head")
    worker = AuditHead(place.operator().context)

    await worker.step()
    await worker.step()

    heads = [vars(record)["head"] for record in caplog.records if vars(record).get("action") == "audit_head"]
    assert heads == [str(await place.history.audit_head())]
