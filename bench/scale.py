"""Measures the operator with thousands of BackupJobs: ``make bench-scale``.

A real API server with etcd, PostgreSQL and Redis, and ``dataguardian operator`` as a process, all on this machine.
There is no kubelet: a stand-in gives each Kubernetes Job a pod, and ends it. Prints a Markdown table for
``docs/benchmarks.md``; exit status 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

from bench import phases, world  # noqa: E402 - found through the path set above
from bench.phases import Limits, Row  # noqa: E402 - found through the path set above
from bench.stand_in import StandIn  # noqa: E402 - found through the path set above

HEAD = "| measure | value | limit | met |\n| --- | --- | --- | --- |"
MET = {True: "yes", False: "NO", None: ""}


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


async def measure(options: argparse.Namespace, folder: Path) -> list[Row]:
    """All phases, in order; each begins with what the one before has left."""
    rows: list[Row] = []

    def add(found: Sequence[Row]) -> None:
        rows.extend(found)
        for row in found:
            say(f"{row.measure}: {row.value} {row.limit and f'(limit {row.limit})'}")

    limits = Limits(running=options.limit, requests=options.qps)
    settings = {"MAX_CONCURRENT_EXECUTIONS": limits.running, "KUBERNETES_QPS": limits.requests}
    async with world.running(folder, settings) as around:
        await world.add_references(around, at_once=limits.running)
        around.operator.start()
        stand_in = StandIn(around.kube, options.seconds)
        ending = asyncio.create_task(stand_in.run())
        try:
            await asyncio.to_thread(around.operator.wait_calm, seconds=phases.PATIENCE_S)
            add([Row("memory without BackupJobs", str(around.operator.memory()))])
            add(await phases.settle(around, options.jobs, say))
            add(await phases.idle(around, options.jobs, options.idle))
            add(await phases.label(around))
            add(await phases.restart(around, f"{options.jobs:,} BackupJobs"))
            add(await phases.due(around, stand_in, options.due, limits, say))
            add(await phases.restart(around, f"{options.due:,} ended runs too"))
        finally:
            ending.cancel()
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(around.operator.folder / "log", options.keep / "operator.log")
                around.control_plane.keep_log(options.keep / "requests.log")
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    return "\n".join([HEAD, *(f"| {row.measure} | {row.value} | {row.limit} | {MET[row.met]} |" for row in rows)])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5000, help="BackupJobs")
    parser.add_argument("--due", type=int, default=2000, help="how many of them are due in one minute")
    parser.add_argument("--limit", type=int, default=50, help="runs that may be running at once")
    parser.add_argument("--qps", type=int, default=100, help="API requests that the operator may make in a second")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long the pod of a run runs")
    parser.add_argument("--idle", type=float, default=60, help="seconds of watching the idle operator")
    parser.add_argument("--keep", type=Path, help="folder for the operator's log and its requests")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dg-bench-"))
    print(f"load before: {Path('/proc/loadavg').read_text().strip()}\n", flush=True)
    try:
        rows = asyncio.run(measure(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(rows), flush=True)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
