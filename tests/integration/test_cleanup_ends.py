"""What a cleanup tells at its end → entries, events, audit, and when the next one is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from dataguardian.domain import report as reports
from dataguardian.domain.report import Report
from dataguardian.domain.told import Told, UnfinishedRemoved
from dataguardian.errors import StorageUnavailable
from dataguardian.kube.client import JSON, Kubernetes
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.workers import side_jobs
from dataguardian.workers.cleanup import CLEANUP
from dataguardian.workers.context import Context
from dataguardian.workers.removals import learn

from . import side_pods, stored
from .cleanups import JUDGED, RULES, cleanups, ended, read
from .conftest import NewContext
from .kubelet import Kubelet
from .workers import Counting


async def events(kube: Kubernetes, namespace: str) -> list[tuple[str, str]]:
    found, _ = await kube.list(f"/api/v1/namespaces/{namespace}/events")
    return [(event["reason"], event["message"]) for event in found]


async def test_each_kept_backup_says_which_rules_keep_it(context: Context, kube: Kubernetes, namespace: str) -> None:
    job = await stored.job(context, namespace)
    entry = await stored.entry(context, job)

    await learn(context, job, [stored.kept(entry, "maxBackups 1/3", "keepDaily 2026-11-24")])
    told = await stored.read(kube, entry)
    await learn(context, job, [stored.kept(entry, "maxBackups 1/3", "keepDaily 2026-11-24")])

    assert told.status.kept_by == ["maxBackups 1/3", "keepDaily 2026-11-24"]
    assert await stored.read(kube, entry) == told  # nothing is written twice


async def test_a_removed_copy_is_removed_in_its_entry_with_one_event_and_one_audit_row(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, "primary", "offsite")
    copies = {"primary": "Stored", "offsite": "Stored"}
    entry = await stored.entry(context, job, copies=copies, keptBy=["maxBackups 3/3"])

    for _ in range(2):
        await learn(context, job, [stored.removed(entry, "primary"), stored.deferred(entry, "offsite")])

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
    assert row.detail["backup_job"] == job.metadata.name


async def test_a_removal_of_a_backup_that_has_no_entry_is_audited(context: Context, namespace: str) -> None:
    job = await stored.job(context, namespace)
    entry = await stored.entry(context, job)
    context.catalog.drop(BACKUP_EXECUTION, entry)

    await learn(context, job, [stored.removed(entry, "primary")])

    assert [row.object_name for row in context.unaudited.values()] == ["nightly-1"]


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
    for number in (1, 2):
        await stored.entry(context, job, number, copies={"primary": "Stored", "offsite": "Stored"})
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


async def test_what_runs_left_is_looked_for_every_day(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention={"unfinishedMaxAge": "24h"})
    await stored.entry(context, job, 1, phase="Failed", copies={})

    status = (await ended(context, job, Report(completed=True, backups=0, expired=0))).status.retention

    assert status is not None
    assert status.next_check_time is not None
    assert timedelta(hours=23) < status.next_check_time - datetime.now(UTC) <= timedelta(hours=24)
    assert await cleanups(context, namespace) == []


async def test_the_removal_of_what_a_run_left_is_audited_once(context: Context, namespace: str) -> None:
    job = await stored.job(context, namespace)
    line = UnfinishedRemoved(location="primary", folder=f"{namespace}/nightly-1/2026", stored_bytes=1024)

    for _ in range(2):
        await learn(context, job, [line])

    (row,) = context.unaudited.values()
    assert (row.action, row.object_kind, row.object_name) == ("unfinished.removed", "BackupJob", "nightly")
    assert row.detail == {"location": "primary", "folder": line.folder, "stored_bytes": 1024}


async def ended_cleanup(context: Context, namespace: str, node: Kubelet) -> JSON:
    """The Kubernetes Job of a cleanup that removed one backup and left another, as the watch tells of its end."""
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    await stored.entry(context, job, 1)
    gone, left = await stored.entry(context, job, 2), await stored.entry(context, job, 3)
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
