"""What is done to the operator, one after the other, and measured."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from dataguardian.domain.naming import kubernetes_job_name, slot_run_name
from dataguardian.kube.client import objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.common import timestamp
from tests.integration.clients import until

from . import world as worlds
from .control_plane import WRITES, Request, busiest_second
from .stand_in import StandIn
from .world import Job, World

PATIENCE_S = 1200.0
MEMORY_MB = 250.0
SETTLE_S = 60.0
IDLE_PERCENT = 1.0
DETAILS = 12  # kinds of requests that are told apart
Say = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """What the operator is told to keep to: runs at once, and API requests in a second."""

    running: int
    requests: int


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is None where nothing is promised."""

    measure: str
    value: str
    limit: str = ""
    met: bool | None = None


async def settle(world: World, count: int, say: Say) -> list[Row]:
    """Create the jobs, and wait until the operator has looked at each."""
    started = time.time()
    specs = [(worlds.job_name(number), worlds.job_spec(number)) for number in range(count)]
    await worlds.all_of(world.create(BACKUP_JOB, name, spec) for name, spec in specs)
    created = time.time()
    say(f"{count} BackupJobs created in {created - started:.1f} s")
    await _all_settled(world)
    took = time.time() - started
    await asyncio.to_thread(world.operator.wait_calm, seconds=PATIENCE_S)
    memory = world.operator.memory()
    requests = list(world.control_plane.requests(started))
    return [
        Row(
            f"{count:,} BackupJobs created: all settled after",
            f"{took:.1f} s (creating them took {created - started:.1f} s)",
            f"{SETTLE_S:.0f} s",
            took <= SETTLE_S,
        ),
        Row("CPU time of the operator until then", f"{world.operator.cpu_seconds():.1f} s"),
        _writes(f"writes to {count:,} new BackupJobs", requests, count),
        Row("memory with them", str(memory), f"{MEMORY_MB:.0f} MB", memory.peak <= MEMORY_MB),
    ]


async def idle(world: World, count: int, seconds: float) -> list[Row]:
    """Nothing is due, and nobody changes anything."""
    started, before = time.time(), world.operator.cpu_seconds()
    await asyncio.sleep(seconds)
    percent = 100 * (world.operator.cpu_seconds() - before) / (time.time() - started)
    requests = list(world.control_plane.requests(started))
    return [
        Row(
            f"idle with {count:,} schedules for {seconds:.0f} s: share of a core",
            f"{percent:.2f} %",
            f"{IDLE_PERCENT:.0f} %",
            percent < IDLE_PERCENT,
        ),
        Row("API requests in that time", str(len(requests))),
    ]


async def label(world: World) -> list[Row]:
    """A change that means nothing to the operator."""
    name, started = worlds.job_name(0), time.time()
    body = {"metadata": {"labels": {"team": "checkout"}}}
    changed = await world.kube.patch(objects_path(BACKUP_JOB, worlds.NAMESPACE, name), body)
    await asyncio.to_thread(world.operator.wait_calm, seconds=PATIENCE_S)
    now = await world.kube.get(objects_path(BACKUP_JOB, worlds.NAMESPACE, name))
    runs, _ = await world.kube.list(objects_path(BACKUP_EXECUTION))
    about_it = [request for request in world.control_plane.requests(started) if request.name.startswith(name)]
    none = now["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"] and not runs and not about_it
    value = f"{len(about_it)} requests about it, {len(runs)} runs"
    return [Row("a label changed on one BackupJob: work", value, "none", none)]


async def restart(world: World, what: str) -> list[Row]:
    """A new process sees everything for the first time; ``what`` there is."""
    before = _versions(await world.jobs())
    world.operator.stop()
    started = time.time()
    world.operator.start()
    await until(partial(_has_listed, world, started), what="the operator lists BackupJobs", seconds=PATIENCE_S)
    await asyncio.to_thread(world.operator.wait_calm, seconds=PATIENCE_S)
    took, cpu, memory = time.time() - started, world.operator.cpu_seconds(), world.operator.memory()
    after = _versions(await world.jobs())
    changed = sum(before[name] != version for name, version in after.items())
    requests = len(list(world.control_plane.requests(started)))
    return [
        Row(f"restart with {what}: BackupJobs changed", str(changed), "0", changed == 0),
        Row("until it is calm again", f"{took:.0f} s, {cpu:.1f} s of CPU time, {requests} API requests"),
        Row("memory after the restart", str(memory), f"{MEMORY_MB:.0f} MB", memory.peak <= MEMORY_MB),
    ]


async def due(world: World, stand_in: StandIn, count: int, limits: Limits, say: Say) -> list[Row]:
    """Many jobs have one slot, which comes soon."""
    slot = (datetime.now(UTC) + timedelta(seconds=90 + count / 40)).replace(second=0, microsecond=0)
    names = [worlds.job_name(number) for number in range(count)]
    body = {"spec": {"schedule": f"{slot.minute} {slot.hour} * * *"}}
    await worlds.all_of(world.kube.patch(objects_path(BACKUP_JOB, worlds.NAMESPACE, name), body) for name in names)
    await _all_settled(world)
    waiting = [job for job in await world.jobs() if job.status.next_schedule_time == timestamp(slot)]
    assert len(waiting) == count, f"{len(waiting)} of {count} jobs wait for the slot {slot}"
    await asyncio.sleep(max(0.0, slot.timestamp() - time.time()))
    say(f"{count} slots are due")
    cpu = world.operator.cpu_seconds()
    await _all_recorded(world, stand_in, count, say)
    ended = time.time()
    await asyncio.to_thread(world.operator.wait_calm, seconds=PATIENCE_S)
    requests = list(world.control_plane.requests(slot.timestamp()))
    memory, cpu = world.operator.memory(), world.operator.cpu_seconds() - cpu
    at_once, limit = stand_in.most_at_once, limits.running
    return [
        *await _once(world, requests, names, slot),
        Row(f"{limit} may run: most at once", str(at_once), str(limit), at_once <= limit),
        _lag("from the slot to its run object: p50, p99, most", requests, "create backupexecutions", slot),
        _lag("from the slot to its Kubernetes Job (wait for dispatch): p50, p99, most", requests, "create jobs", slot),
        Row("from the slot to the last row", f"{ended - slot.timestamp():.0f} s"),
        Row("CPU time of the operator for each run", f"{1000 * cpu / count:.0f} ms"),
        *_rates(requests, count, limits.requests),
        Row("memory afterwards", str(memory), f"{MEMORY_MB:.0f} MB", memory.peak <= MEMORY_MB),
    ]


async def _has_listed(world: World, since: float) -> bool:
    return any(request.what == "list backupjobs" for request in world.control_plane.requests(since))


async def _all_settled(world: World) -> None:
    async def settled() -> bool:
        await asyncio.sleep(0.5)
        return all(job.is_settled for job in await world.jobs())

    await until(settled, what="all jobs are settled", seconds=PATIENCE_S)


async def _all_recorded(world: World, stand_in: StandIn, count: int, say: Say) -> None:
    shown = time.monotonic()

    async def recorded() -> bool:
        nonlocal shown
        query = "SELECT count(*) FROM backup_executions WHERE status = 'completed'"
        ((done,),) = await asyncio.to_thread(world.postgres.rows, "postgres", query)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            say(f"{stand_in.ended} ended, {done} recorded")
        await asyncio.sleep(0.5)
        return done == count

    await until(recorded, what="all runs are recorded", seconds=PATIENCE_S)


async def _once(world: World, requests: Sequence[Request], names: Sequence[str], slot: datetime) -> list[Row]:
    """Each slot has one run object, one Kubernetes Job, one row, and its job says so."""
    wanted = sorted(slot_run_name(name, slot) for name in names)
    runs, _ = await world.kube.list(objects_path(BACKUP_EXECUTION))
    objects = sorted(run["metadata"]["name"] for run in runs)
    made = sorted(request.name for request in requests if request.what == "create jobs" and request.status == 201)
    started = [name for name in made if name.startswith("backup-")]
    rows = world.postgres.rows("postgres", "SELECT name FROM backup_executions WHERE status = 'completed'")
    jobs = {job.metadata.name: job.status for job in await world.jobs()}
    told = [jobs[name] for name in names if jobs[name].last_successful_time and not jobs[name].missed_schedules]
    found = {
        "run objects": objects == wanted,
        "Kubernetes Jobs": started == sorted(kubernetes_job_name("backup", name) for name in wanted),
        "rows": sorted(str(name) for (name,) in rows) == wanted,
        "job statuses": len(told) == len(names),
    }
    wrong = ", ".join(what for what, right in found.items() if not right)
    value = f"{len(objects)} run objects, {len(started)} Kubernetes Jobs, {len(rows)} rows" + (
        f"; wrong: {wrong}" if wrong else ""
    )
    return [Row(f"{len(names):,} slots in one minute: each started exactly once", value, "each once", not wrong)]


def _versions(jobs: Sequence[Job]) -> dict[str, str]:
    return {job.metadata.name: job.metadata.resource_version for job in jobs}


def _writes(measure: str, requests: Sequence[Request], count: int) -> Row:
    writes = [request for request in requests if request.verb in WRITES and request.resource.startswith("backupjobs")]
    return Row(measure, f"{len(writes)} ({len(writes) / count:.2f} each)")


def _lag(measure: str, requests: Sequence[Request], what: str, slot: datetime) -> Row:
    lags = sorted(
        request.at - slot.timestamp() for request in requests if request.what == what and request.status == 201
    )
    hundredths = statistics.quantiles(lags, n=100)
    return Row(measure, f"{hundredths[49]:.1f} s, {hundredths[98]:.1f} s, {lags[-1]:.1f} s")


def _rates(requests: Sequence[Request], count: int, per_second: int) -> list[Row]:
    ordinary = [request for request in requests if request.verb != "watch"]
    span = max(request.at for request in ordinary) - min(request.at for request in ordinary)
    often = Counter(request.what for request in ordinary).most_common(DETAILS)
    details = ", ".join(f"{what} {number / count:.1f}" for what, number in often)
    rate = len(ordinary) / span
    return [
        Row("API requests for each run", f"{len(ordinary) / count:.1f} ({details})"),
        Row("API requests in a second: mean", f"{rate:.0f}", f"{per_second}", rate <= per_second * 1.05),
        Row("API requests in a second: most", f"{busiest_second(ordinary)}"),
    ]
