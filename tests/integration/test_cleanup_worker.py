"""What retention tells → entries, events, audit; and when it is asked. Against a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from dataguardian.domain import report as reports
from dataguardian.domain import told as tellings
from dataguardian.domain.naming import GENERATION
from dataguardian.domain.plan import BackupPlan
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.domain.told import Told
from dataguardian.errors import StorageUnavailable
from dataguardian.kube.client import JSON, Kubernetes, jobs_path, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import datasource
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from dataguardian.resources.common import timestamp
from dataguardian.workers import dispatcher, pod_log, recorder, run_logs, side_jobs
from dataguardian.workers.cleanup import CLEANUP, clean_all
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS
from dataguardian.workers.removals import learn
from dataguardian.workers.side_jobs import Ended

from . import side_pods, stored
from .conftest import NewContext
from .kubelet import Kubelet
from .workers import Counting

RULES = {"maxBackups": 1}
JUDGED = Report(completed=True, backups=1, expired=0)


async def ended(context: Context, job: BackupJob, report: Report, *told: Told) -> BackupJob:
    """A cleanup of the job ends; returns the job as it is then."""
    meta = job.metadata
    end = Ended(
        kind=BACKUP_JOB.name,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        began=datetime.now(UTC),
        notes={GENERATION: str(meta.generation)},
        report=report,
        told=told,
    )
    await CLEANUP.ended(context, end)
    return await read(context, job)


async def read(context: Context, job: BackupJob) -> BackupJob:
    path = objects_path(BACKUP_JOB, job.metadata.namespace, job.metadata.name)
    found = BackupJob.read(await context.kube.get(path))
    context.catalog.put(BACKUP_JOB, found)
    return found


async def cleanups(context: Context, namespace: str) -> list[JSON]:
    """The Kubernetes Jobs that a step of the worker leaves."""
    await context.catalog.entries.refresh()
    await clean_all(context)
    return (await context.kube.list(jobs_path(namespace)))[0]


async def events(kube: Kubernetes, namespace: str) -> list[tuple[str, str]]:
    found, _ = await kube.list(f"/api/v1/namespaces/{namespace}/events")
    return [(event["reason"], event["message"]) for event in found]


async def test_each_kept_backup_says_which_rules_keep_it(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await stored.job(context, namespace)
    entry = await stored.entry(context, job)

    await learn(context, namespace, [stored.kept(entry, "maxBackups 1/3", "keepDaily 2026-11-24")])
    told = await stored.read(kube, entry)
    await learn(context, namespace, [stored.kept(entry, "maxBackups 1/3", "keepDaily 2026-11-24")])

    assert told.status.kept_by == ["maxBackups 1/3", "keepDaily 2026-11-24"]
    assert await stored.read(kube, entry) == told  # nothing is written twice


async def test_a_removed_copy_is_removed_in_its_entry_with_one_event_and_one_audit_row(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, "primary", "offsite")
    copies = {"primary": "Stored", "offsite": "Stored"}
    entry = await stored.entry(context, job, copies=copies, keptBy=["maxBackups 3/3"])

    for _ in range(2):
        await learn(context, namespace, [stored.removed(entry, "primary"), stored.deferred(entry, "offsite")])

    after = await stored.read(kube, entry)
    assert stored.states(after) == {"primary": "Removed", "offsite": "Stored"}
    assert after.status.kept_by == []
    ((reason, message),) = await events(kube, namespace)
    assert reason == "BackupRemoved"
    assert "primary" in message
    assert "maxBackups" in message
    (row,) = context.unaudited.values()
    assert (row.action, row.who, row.object_kind, row.object_name) == (
        "backup.removed",
        "dataguardian",
        "BackupExecution",
        "nightly-1",
    )
    assert row.detail["location"] == "primary"


async def test_a_removal_of_a_backup_that_has_no_entry_is_audited(context: Context, namespace: str) -> None:
    entry = await stored.entry(context, await stored.job(context, namespace))
    context.catalog.drop(BACKUP_EXECUTION, entry)

    await learn(context, namespace, [stored.removed(entry, "primary")])

    assert [row.object_name for row in context.unaudited.values()] == ["nightly-1"]


async def test_a_job_with_new_rules_and_stored_backups_is_cleaned_up_in_all_its_locations(
    context: Context, namespace: str
) -> None:
    job = await stored.job(context, namespace, retention=RULES)
    await stored.location(context, namespace, "primary")
    await stored.location(context, namespace, "earlier", accessMode="ReadOnly")
    await stored.location(context, namespace, "stranger")
    await stored.entry(context, job, copies={"primary": "Stored", "earlier": "Stored"})

    (cleanup,) = await cleanups(context, namespace)
    assert await cleanups(context, namespace) == [cleanup]

    plan = json.loads(planned(cleanup))
    assert cleanup["metadata"]["name"] == "cleanup-nightly"
    assert plan["folder"] == f"{namespace}/nightly-{job.metadata.uid[:8]}"
    assert plan["policy"]["max_backups"] == 1
    assert [target["location"] for target in plan["targets"]] == ["earlier", "primary"]
    assert plan["read_only"] == ["earlier"]


async def test_no_cleanup_is_started_for_a_job_that_has_no_rules_or_no_backups(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    await stored.job(context, namespace, retention=RULES)

    assert await cleanups(context, namespace) == []


async def test_no_cleanup_is_started_while_a_backup_runs_which_judges_itself(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    await stored.entry(context, job)
    run = await stored.create(
        context.kube, BACKUP_EXECUTION, namespace, "now", {"backupJobRef": {"name": "nightly"}}, {"phase": "Running"}
    )
    context.catalog.put(BACKUP_EXECUTION, BackupExecution.read(run))

    assert await cleanups(context, namespace) == []


async def test_after_a_cleanup_the_job_says_when_the_next_one_is_due_and_none_is_started_before(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    entry = await stored.entry(context, job)
    report = Report(completed=True, backups=2, expired=1, next_expiry="2999-01-01T00:00:00Z")

    after = await ended(context, job, report, stored.kept(entry, "maxBackups 1/1"))

    status = after.status.retention
    assert status is not None
    assert (status.observed_generation, status.expired, status.message) == (1, 1, None)
    assert status.next_check_time == datetime(2999, 1, 1, tzinfo=UTC)
    assert await cleanups(context, namespace) == []
    assert (await read(context, job)).status.backups == 1


async def test_what_is_refused_is_tried_again_after_an_hour_and_then_ever_later(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    entry = await stored.entry(context, job)
    pauses = []
    status = None
    for _ in range(6):
        status = (await ended(context, job, JUDGED, stored.deferred(entry, "primary"))).status.retention
        assert status is not None
        assert status.next_check_time is not None
        pauses.append(round((status.next_check_time - datetime.now(UTC)) / timedelta(hours=1)))

    assert pauses == [1, 2, 4, 8, 16, 24]
    assert status is not None
    assert status.message == "The storage location is ReadOnly"
    assert await cleanups(context, namespace) == []


async def test_a_location_that_did_not_answer_is_tried_again_after_a_minute(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    await stored.location(context, namespace, "offsite")
    job = await stored.job(context, namespace, "primary", "offsite", retention=RULES)
    await stored.entry(context, job)
    report = Report(completed=True, backups=1, expired=0, unread=["offsite"])

    status = (await ended(context, job, report)).status.retention

    assert status is not None
    assert status.next_check_time is not None
    assert timedelta(seconds=50) < status.next_check_time - datetime.now(UTC) <= timedelta(minutes=1)


async def test_a_location_that_comes_back_is_caught_up_at_once(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    offsite = await stored.location(context, namespace, "offsite", phase="Unreachable")
    job = await stored.job(context, namespace, "primary", "offsite", retention=RULES)
    await stored.entry(context, job, copies={"primary": "Stored", "offsite": "Stored"})
    await ended(context, job, JUDGED)
    assert await cleanups(context, namespace) == []

    await stored.set_phase(context, offsite, "Available")

    assert len(await cleanups(context, namespace)) == 1


async def test_a_cleanup_that_failed_says_so_and_is_tried_again_later(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    await stored.entry(context, job)
    error = StorageUnavailable("The store did not answer.", remedy="Look at it.")

    status = (await ended(context, job, reports.failed(error, "cleanup"))).status.retention

    assert status is not None
    assert status.message == "The store did not answer. Look at it."
    assert await cleanups(context, namespace) == []


async def test_a_backups_run_judges_also_where_the_job_no_longer_writes(context: Context, namespace: str) -> None:
    await stored.location(context, namespace, "primary")
    await stored.location(context, namespace, "earlier")
    await stored.location(context, namespace, "archive", accessMode="ReadOnly")
    await stored.location(context, namespace, "away", phase="Unreachable")
    job = await stored.job(context, namespace, retention=RULES)
    copies = dict.fromkeys(("primary", "earlier", "archive", "away"), "Stored")
    await stored.entry(context, job, copies=copies)
    source = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    await stored.create(context.kube, datasource.KIND, namespace, "orders", source, {})
    run_kind = RUN_KINDS["backup"]
    run = await stored.create(context.kube, run_kind.kind, namespace, "now", {"backupJobRef": {"name": "nightly"}}, {})

    plan = (await run_kind.prepare(context.catalog, BackupExecution.read(run))).run.plan

    assert isinstance(plan, BackupPlan)
    assert [target.location for target in plan.targets] == ["primary"]
    assert [target.location for target in plan.kept_locations] == ["archive", "earlier"]
    assert plan.read_only == ["archive"]
    assert plan.retention is not None


async def test_what_a_backups_run_judged_is_written_at_its_end(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    old = await stored.entry(context, job)
    run = await started(context, namespace)
    new_key = f"{namespace}/nightly-{job.metadata.uid[:8]}/now/manifest.json"
    report = Report(
        completed=True,
        dump_bytes=2048,
        stored_bytes=1024,
        copies=[StoredCopy(location="primary", key=new_key, stored=True)],
        backups=1,
        expired=0,
    )

    kubernetes_job = await kube.get(jobs_path(namespace, "backup-now"))
    told: list[Told] = [stored.kept(run, "maxBackups 1/1"), stored.removed(old, "primary")]
    recorder.observe(context, await side_pods.end(kube, node, kubernetes_job, report, told))
    await recorder.record_all(context)

    assert (await stored.read(kube, run)).status.kept_by == ["maxBackups 1/1"]
    assert stored.states(await stored.read(kube, old)) == {"primary": "Removed"}
    status = (await read(context, job)).status.retention
    assert status is not None
    assert (status.observed_generation, status.expired, status.next_check_time) == (1, 0, None)
    assert [each["metadata"]["name"] for each in await cleanups(context, namespace)] == ["backup-now"]


async def ended_cleanup(context: Context, namespace: str, node: Kubelet) -> JSON:
    """The Kubernetes Job of a cleanup that removed one backup and left another, as the watch tells of its end."""
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    gone, left = await stored.entry(context, job, 1), await stored.entry(context, job, 2)
    (cleanup,) = await cleanups(context, namespace)
    told: list[Told] = [stored.removed(gone, "primary"), stored.deferred(left, "primary")]
    done = await side_pods.end(context.kube, node, cleanup, JUDGED, told)
    side_jobs.observe(context, "MODIFIED", done)
    return done


async def test_an_end_is_acted_on_once_and_its_removals_are_in_the_audit_log(
    new_context: NewContext, namespace: str, node: Kubelet
) -> None:
    context = new_context()
    await ended_cleanup(context, namespace, node)
    patched = cast(Counting, context.kube).patched
    patched.clear()

    await side_jobs.settle(context, CLEANUP)
    await side_jobs.settle(context, CLEANUP)

    assert context.side_jobs == {}
    assert len([path for path in patched if "/backupjobs/" in path]) == 1
    (job,) = [each for each in context.catalog.all(BACKUP_JOB) if each.metadata.namespace == namespace]
    status = job.status.retention
    assert status is not None
    assert status.next_check_time is not None
    assert status.next_check_time - datetime.now(UTC) <= timedelta(hours=1)
    assert context.unaudited == {}
    async with context.history.connection() as connection:
        found = await connection.execute("SELECT action FROM audit_logs WHERE namespace = %s", [namespace])
        assert await found.fetchall() == [("backup.removed",)]


async def test_nothing_is_judged_while_the_audit_log_cannot_be_written_and_it_is_left_alone_for_a_while(
    context: Context, namespace: str, node: Kubelet
) -> None:
    cleanup = await ended_cleanup(context, namespace, node)  # the history has no tables

    await side_jobs.settle(context, CLEANUP)

    (job,) = [each for each in context.catalog.all(BACKUP_JOB) if each.metadata.namespace == namespace]
    assert (await read(context, job)).status.retention is None
    assert side_jobs.is_open(context, namespace, "cleanup-nightly")
    pause = ("end", cleanup["metadata"]["uid"])
    assert not context.pauses.is_over(pause, datetime.now(UTC) + side_jobs.HISTORY_RETRY / 2)
    assert context.pauses.is_over(pause, datetime.now(UTC) + side_jobs.HISTORY_RETRY)


async def test_a_backups_row_does_not_wait_for_its_log_and_a_log_that_stays_unreadable_is_lost(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored.location(context, namespace)
    await stored.job(context, namespace, retention=RULES)
    run = await started(context, namespace)
    done = await side_pods.end(kube, node, await kube.get(jobs_path(namespace, "backup-now")), JUDGED)
    uid = done["metadata"]["uid"]
    recorder.observe(context, done)
    node.stop()

    await recorder.record_all(context)

    assert context.unwritten[run.metadata.uid].status in {"completed", "failed"}
    assert list(context.unrecorded) == [uid]
    assert not context.pauses.is_over(("record", uid), datetime.now(UTC) + run_logs.RETRY / 2)
    monkeypatch.setattr(pod_log, "DEADLINE", timedelta(0))
    context.pauses.forget(("record", uid))
    await recorder.record_all(context)
    assert context.unrecorded == {}
    assert list(context.unlogged) == [uid]


@pytest.mark.parametrize("last_judged", [True, False])
async def test_what_an_earlier_pod_of_a_run_removed_is_known(
    context: Context, kube: Kubernetes, namespace: str, node: Kubelet, last_judged: bool
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    old = await stored.entry(context, job)
    run = await started(context, namespace)
    kubernetes_job = await kube.get(jobs_path(namespace, "backup-now"))
    first = await side_pods.create_pod(kube, kubernetes_job, node.name, name="first")
    lines = [tellings.fields(stored.removed(old, "primary"))]
    node.logs[first["metadata"]["name"]] = "".join(json.dumps(line) + "\n" for line in lines)
    report = Report(completed=True, backups=1 if last_judged else None)

    told = [stored.kept(run, "maxBackups 1/1")] if last_judged else []
    recorder.observe(context, await side_pods.end(kube, node, kubernetes_job, report, told))
    await recorder.record_all(context)

    assert stored.states(await stored.read(kube, old)) == {"primary": "Removed"}


async def started(context: Context, namespace: str) -> BackupExecution:
    """A backup whose Kubernetes Job was created."""
    source = {"engine": "postgresql", "host": "db", "database": "orders", "credentialsSecretRef": {"name": "db"}}
    await stored.create(context.kube, datasource.KIND, namespace, "orders", source, {})
    moment = timestamp(datetime.now(UTC))
    spec = {"backupJobRef": {"name": "nightly"}}
    status = {"phase": "Queued", "queuedTime": moment}
    run = BackupExecution.read(await stored.create(context.kube, BACKUP_EXECUTION, namespace, "now", spec, status))
    await dispatcher.dispatch(context, RUN_KINDS["backup"], run)
    return run
