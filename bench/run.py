"""Compares DataGuardian's runner with the shell pipelines that people write by hand: ``make bench``.

One database, one PostgreSQL server, one S3 server, all on this machine; the cases take turns in each round,
and the median of the rounds is printed. Prints a Markdown table for ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "operator")]

from bench import sample  # noqa: E402 - found through the path set above
from bench.cases import Case, backup_cases, restore_cases, sync_cases  # noqa: E402 - found through the path set above
from bench.data import fill  # noqa: E402 - found through the path set above

from tests.integration.runs import Pod  # noqa: E402 - found through the path set above
from tests.integration.services import PostgresServer, S3Server  # noqa: E402 - found through the path set above

SETTINGS = ("fsync=off", "shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off", "maintenance_work_mem=256MB")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def measured(cases: Sequence[Case], rounds: int, calm: Callable[[], None]) -> dict[str, list[sample.Figures]]:
    """The figures of each case, one a round; the cases take turns."""
    figures: dict[str, list[sample.Figures]] = {case.name: [] for case in cases}
    for number in range(1, rounds + 1):
        for case in cases:
            calm()
            found = case.measure()
            figures[case.name].append(found)
            say(f"round {number}: {case.name}: {found.wall:.2f} s, {found.memory / 1e6:.0f} MB")
    return figures


def table(figures: dict[str, list[sample.Figures]]) -> str:
    """Markdown; the ratio is to the first case of the same round, then the median."""
    baseline = next(iter(figures.values()))
    rows = [
        "| case | wall s | ratio | CPU s | peak memory MB | written to disk MB | first dump byte ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in figures.items():
        ratio = statistics.median(one.wall / first.wall for one, first in zip(found, baseline, strict=True))
        firsts = [one.first_byte for one in found if one.first_byte is not None]
        first = f"{statistics.median(firsts) * 1000:.0f}" if firsts else ""
        wall, cpu = (statistics.median(getattr(one, key) for one in found) for key in ("wall", "cpu"))
        memory = max(one.memory for one in found) / 1e6
        disk = statistics.median(one.disk for one in found) / 1e6
        rows.append(f"| {name} | {wall:.2f} | {ratio:.2f} | {cpu:.2f} | {memory:.0f} | {disk:.1f} | {first} |")
    return "\n".join(rows)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-gb", type=float, default=1.0, help="size of the database")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is printed")
    parser.add_argument("--only", default="", help="only the cases whose name contains this; ratios are to the first")
    options = parser.parse_args()
    postgres, s3 = PostgresServer(settings=SETTINGS), S3Server()
    folder = Path(tempfile.mkdtemp(prefix="dg-bench-"))
    try:
        for service in (postgres, s3):
            service.start()
        say(f"filling a database of about {options.size_gb} GB")
        database = postgres.database("bench")
        fill(postgres, database, options.size_gb)
        size = postgres.rows(database, "SELECT pg_database_size(current_database())")[0][0]
        print(f"database: {size} bytes, load before: {Path('/proc/loadavg').read_text().strip()}\n")
        pod = Pod(folder, postgres)

        def calm() -> None:
            sample.settle()
            postgres.sql("postgres", "CHECKPOINT")

        for make in (backup_cases, restore_cases, sync_cases):
            cases = [case for case in make(pod, s3, database) if options.only in case.name]
            if cases:
                print(table(measured(cases, options.rounds, calm)) + "\n", flush=True)
    finally:
        postgres.remove()
        s3.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
