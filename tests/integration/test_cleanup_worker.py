"""Which jobs are cleaned up, and with which plan; backups that are all kept need no cleanup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dataguardian.domain import plan as plans
from dataguardian.domain.evidence import Evidence
from dataguardian.domain.naming import REFUTED
from dataguardian.domain.plan import CleanupPlan
from dataguardian.domain.report import Report
from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.kube.jobs import planned
from dataguardian.resources import storage_location
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.workers import cleanup as cleanup_worker
from dataguardian.workers.context import Context
from dataguardian.workers.in_use import folder_of

from . import stored
from .cleanups import JUDGED, RULES, cleanups, ended, read, unended
from .conftest import NewContext


async def test_a_job_with_a_backup_that_no_rule_keeps_is_cleaned_up_in_all_its_locations(
    context: Context, namespace: str
) -> None:
    job = await stored.job(context, namespace, retention=RULES)
    await stored.location(context, namespace, "primary")
    await stored.location(context, namespace, "earlier", accessMode="ReadOnly")
    await stored.location(context, namespace, "stranger")
    for number in (1, 2):
        await stored.entry(context, job, number, copies={"primary": "Stored", "earlier": "Stored"})

    (cleanup,) = await cleanups(context, namespace)
    assert await cleanups(context, namespace) == [cleanup]

    plan = plans.decode(planned(cleanup), CleanupPlan)
    assert cleanup["metadata"]["name"] == "cleanup-nightly"
    assert plan.folder == f"{namespace}/nightly-{job.metadata.uid[:8]}"
    assert plan.policy.max_backups == 1
    assert [target.location for target in plan.targets] == ["earlier", "primary"]
    assert plan.read_only == ["earlier"]


async def test_a_cleanup_is_told_which_verifications_failed_once_all_are_known(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    bad = await stored.entry(context, job, 1, lastVerification="Failed")
    for number in (2, 3):
        await stored.entry(context, job, number)
    moment = datetime.now(UTC)
    fresh = Evidence(namespace=namespace, job="nightly", backup="nightly-2", began=moment, ended=moment)
    context.unproven["request"] = fresh

    assert await cleanups(context, namespace) == []

    context.unproven.clear()
    (cleanup,) = await cleanups(context, namespace)
    assert plans.decode(planned(cleanup), CleanupPlan).refuted == [bad.metadata.uid]
    assert cleanup["metadata"]["annotations"][REFUTED] == bad.metadata.uid


async def test_no_cleanup_is_started_for_a_job_that_has_no_rules_or_no_backups(
    context: Context, namespace: str
) -> None:
    await stored.location(context, namespace)
    await stored.job(context, namespace, retention=RULES)

    assert await cleanups(context, namespace) == []


async def test_backups_that_are_all_kept_need_no_cleanup_and_say_why_they_are_kept(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    job = await stored.job(context, namespace, retention={"maxBackups": 2, "maxAge": "48h"})
    newer, older = await stored.entry(context, job, 1), await stored.entry(context, job, 2)

    assert await cleanups(context, namespace) == []

    assert (await stored.read(kube, newer)).status.kept_by == ["maxBackups 1/2", "newest good backup", "maxAge 48h"]
    assert (await stored.read(kube, older)).status.kept_by == ["maxBackups 2/2", "maxAge 48h"]
    after = await read(context, job)
    assert (after.status.backups, after.status.retention and after.status.retention.expired) == (2, 0)
    assert await cleanups(context, namespace) == []
    assert await read(context, job) == after  # nothing is written twice


async def test_with_auto_delete_off_nothing_that_could_delete_is_started(
    context: Context, kube: Kubernetes, namespace: str
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention={**RULES, "unfinishedMaxAge": "1h", "autoDelete": False})
    old = [await stored.entry(context, job, number, keptBy=["maxBackups 1/1"]) for number in (1, 2)][1]

    assert await cleanups(context, namespace) == []

    status = (await read(context, job)).status.retention
    assert status is not None
    assert (status.expired, status.message) == (1, None)
    assert (await stored.read(kube, old)).status.kept_by == []


async def test_rules_that_were_changed_a_moment_ago_are_not_cleaned_up_by(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    for number in (1, 2):
        await stored.entry(context, job, number)
    path = objects_path(BACKUP_JOB, namespace, "nightly")
    await context.kube.patch(path, {"spec": {"retention": {"autoDelete": False}}})  # no watch has told of it yet

    assert await cleanups(context, namespace) == []

    await read(context, job)
    assert await cleanups(context, namespace) == []


@pytest.mark.parametrize(("policy", "started"), [("Forbid", 0), ("Allow", 1)])
async def test_a_cleanup_waits_for_a_run_unless_runs_may_overlap(
    context: Context, namespace: str, policy: str, started: int
) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES, concurrencyPolicy=policy)
    for number in (1, 2):
        await stored.entry(context, job, number)
    await unended(context, namespace, "now", "Running")

    assert len(await cleanups(context, namespace)) == started


async def test_the_run_after_a_cleanup_is_judged_again_also_by_an_operator_that_has_just_started(
    new_context: NewContext, namespace: str
) -> None:
    context = new_context()
    location = await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    old = await stored.entry(context, job, 2)
    await ended(context, job, JUDGED, stored.kept(old, "maxBackups 1/1"))
    assert await cleanups(context, namespace) == []
    await stored.entry(context, job, 1)  # it is recorded, and the operator dies

    restarted = new_context()
    restarted.catalog.put(storage_location.KIND, location)
    await read(restarted, job)

    (cleanup,) = await cleanups(restarted, namespace)
    assert cleanup["metadata"]["name"] == "cleanup-nightly"


async def test_a_backup_that_the_stores_keep_after_all_is_not_asked_for_again(context: Context, namespace: str) -> None:
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    entries = [await stored.entry(context, job, number) for number in (1, 2)]
    told = [stored.kept(entry, "no newer good backup") for entry in entries]  # the newer one is damaged

    await ended(context, job, Report(completed=True, backups=2, expired=0), *told)

    assert await cleanups(context, namespace) == []


async def test_a_cleanup_spares_what_a_run_that_has_not_ended_may_use(
    context: Context, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup_worker, "now", lambda: datetime.now(UTC) + timedelta(days=3))
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention={"unfinishedMaxAge": "24h"})
    failed = await stored.entry(context, job, 1, phase="Failed", copies={})
    await stored.entry(context, job, 2, copies={"primary": "Stored", "offsite": "Failed"})
    await stored.entry(context, job, 3)
    retry = await unended(context, namespace, "again", "Queued", trigger="Retry", retryOf="nightly-1")

    (cleanup,) = await cleanups(context, namespace)

    plan = plans.decode(planned(cleanup), CleanupPlan)
    assert plan.in_use == sorted([folder_of(failed), folder_of(retry)])
    assert plan.unfinished_before is not None
    age = datetime.now(UTC) + timedelta(days=3) - datetime.fromisoformat(plan.unfinished_before)
    assert timedelta(hours=24) < age < timedelta(hours=25)


async def test_a_cleanup_that_cannot_be_told_all_is_not_started_and_says_so(
    context: Context, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LIMIT_BYTES", 300)
    await stored.location(context, namespace)
    job = await stored.job(context, namespace, retention=RULES)
    for number in (1, 2):
        await stored.entry(context, job, number)

    assert await cleanups(context, namespace) == []

    status = (await read(context, job)).status.retention
    assert status is not None
    assert "cleanup" in (status.message or "")
    assert status.next_check_time is not None
