"""Measures the sidecar with 100,000 executions, 500 jobs and many readers: ``make bench-api``.

The sidecar is ``dataguardian api`` as a process, with a real API server, PostgreSQL and Redis, all on this machine; so
are the readers, and the backup whose pace is compared. Prints a Markdown table for ``docs/benchmarks.md``; exit status
1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

from bench import dashboard, sample  # noqa: E402 - found through the path set above
from bench.cases import backup_cases  # noqa: E402 - found through the path set above
from bench.data import fill  # noqa: E402 - found through the path set above
from bench.phases import Row  # noqa: E402 - found through the path set above
from bench.reading import Bench, readers_beside  # noqa: E402 - found through the path set above
from bench.run import SETTINGS, say  # noqa: E402 - found through the path set above
from bench.scale import table  # noqa: E402 - found through the path set above

from tests.integration.runs import Pod  # noqa: E402 - found through the path set above
from tests.integration.services import PostgresServer, S3Server  # noqa: E402 - found through the path set above

OVERVIEW = "/api/dashboard/overview"
OVERVIEW_MS = 50.0
MEMORY_MB = 200.0
SLOWER = 1.05
CASE = "backup to S3, sizes verified"


def latencies(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """One reader after the other's answer, over a time in which what is remembered is asked for again."""
    bench.restart()
    rows = []
    for path in (OVERVIEW, "/api/executions", "/api/executions?status=failed&limit=500", *bench.jobs):
        outcome, found = bench.read([path], readers=1, rate=10, seconds=options.alone)
        first, spent = found[0], sorted(found)
        p50, p99 = (spent[int(share * (len(spent) - 1))] for share in (0.5, 0.99))
        limited = path == OVERVIEW
        rows.append(
            Row(
                f"`GET {path}`, alone: p50, p99, most (the first one)",
                f"{p50:.1f}, {p99:.1f}, {spent[-1]:.1f} ms ({first:.1f} ms)",
                f"{OVERVIEW_MS:.0f} ms" if limited else "",
                p99 < OVERVIEW_MS and not outcome.errors if limited else None,
            )
        )
    return rows


def crowd(bench: Bench, options: argparse.Namespace) -> list[Row]:
    """Many readers, and streams."""
    before = bench.memory()
    outcome, _ = bench.read(
        bench.paths, readers=options.readers, rate=options.rate, seconds=options.seconds, streams=bench.streams(50)
    )
    after = bench.memory()
    what = f"{options.readers} readers and {len(bench.streams(50))} streams for {options.seconds:.0f} s"
    errors = ", ".join(f"{name} ({count})" for name, count in outcome.errors.items()) or "0"
    return [
        Row(f"{what}: errors", errors, "0", not outcome.errors),
        Row("requests a second (answered 304)", f"{outcome.requests / options.seconds:.0f} ({outcome.unchanged})"),
        Row("latency: p50, p99, most", f"{outcome.p50_ms:.0f}, {outcome.p99_ms:.0f}, {outcome.most_ms:.0f} ms"),
        Row("bytes that came through streams", f"{outcome.received:,}"),
        Row("memory of the sidecar before", f"{before.resident:.0f} MB"),
        Row("and after", str(after), f"{MEMORY_MB:.0f} MB", after.peak <= MEMORY_MB),
        Row("CPU time of the sidecar, and of the readers", f"{bench.cpu:.1f} s, {outcome.cpu_seconds:.1f} s"),
    ]


def beside(bench: Bench, options: argparse.Namespace, folder: Path) -> list[Row]:
    """A backup alone, and with readers at each of the rates, in turns."""
    postgres, s3 = PostgresServer(settings=SETTINGS), S3Server()
    rates: list[float] = [0, *options.beside]
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    try:
        for service in (postgres, s3):
            service.start()
        database = postgres.database("bench")
        fill(postgres, database, options.size_gb)
        (case,) = [case for case in backup_cases(Pod(folder, postgres), s3, database) if case.name == CASE]
        case.measure()  # which warms what the first one would find cold
        for number in range(1, options.rounds + 1):
            for rate in rates:
                sample.settle()
                postgres.sql("postgres", "CHECKPOINT")
                with readers_beside(bench.load(bench.paths, readers=options.readers, rate=rate, seconds=600)):
                    found[rate].append(case.measure().wall)
                say(f"round {number}, {rate:.0f} requests a second: {found[rate][-1]:.2f} s")
    finally:
        postgres.remove()
        s3.remove()
    return [_compared(rate, found[rate], found[0], options) for rate in options.beside]


def _compared(rate: float, loaded: Sequence[float], alone: Sequence[float], options: argparse.Namespace) -> Row:
    ratio = statistics.median(one / without for one, without in zip(loaded, alone, strict=True))
    seconds = f"{statistics.median(alone):.2f} s, {statistics.median(loaded):.2f} s"
    limited = rate == options.beside[0]
    return Row(
        f"a backup while {options.readers} readers ask {rate:.0f} times a second: ratio to one without",
        f"{ratio:.2f} ({seconds})",
        f"{SLOWER:.2f}" if limited else "",
        ratio <= SLOWER if limited else None,
    )


async def started(options: argparse.Namespace, folder: Path) -> Bench:
    """Everything runs and is filled."""
    bench = Bench(folder)
    try:
        bench.start()
        say(f"filling history with {options.executions:,} executions")
        dashboard.fill_history(bench.postgres, bench.database, executions=options.executions, jobs=options.jobs)
        async with bench.apiserver.connect() as kube:
            bench.tokens = await dashboard.fill_cluster(bench.apiserver, kube, jobs=options.jobs)
    except BaseException:
        bench.remove()
        raise
    return bench


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=100_000, help="rows of history")
    parser.add_argument("--jobs", type=int, default=500, help="BackupJobs")
    parser.add_argument("--alone", type=float, default=25, help="seconds for each latency")
    parser.add_argument("--readers", type=int, default=200, help="readers at once, each with a connection")
    parser.add_argument("--rate", type=float, default=100, help="requests a second, of all readers")
    parser.add_argument("--seconds", type=float, default=60, help="how long they read")
    parser.add_argument("--rounds", type=int, default=5, help="backups with readers, and without; 0: none")
    parser.add_argument(
        "--beside", type=float, nargs="+", default=[20, 100], help="rates beside a backup; the first has the limit"
    )
    parser.add_argument("--size-gb", type=float, default=1.0, help="size of the database that is backed up")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dg-bench-"))
    rows: list[Row] = []
    print(f"load before: {Path('/proc/loadavg').read_text().strip()}\n", flush=True)
    try:
        bench = asyncio.run(started(options, folder))
        try:
            for phase in (latencies, crowd):
                rows += _said(phase(bench, options))
            if options.rounds:
                rows += _said(beside(bench, options, folder))
        finally:
            bench.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(rows), flush=True)
    return 1 if any(row.met is False for row in rows) else 0


def _said(rows: Sequence[Row]) -> Sequence[Row]:
    for row in rows:
        say(f"{row.measure}: {row.value} {row.limit and f'(limit {row.limit})'}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
