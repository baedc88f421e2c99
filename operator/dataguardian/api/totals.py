"""How often something ended, ever: counters and histograms from the totals of history.

They are read in the background, so that a scrape waits for nobody, and stay as they were while Postgres is away. Only
objects that exist have series; a job that is made again under its name goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from itertools import accumulate
from typing import get_args

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from ..domain.executions import Attempt
from ..history import History, HistoryUnavailable
from ..history.totals import BOUNDS, Ending, Endings, Totals, read
from .objects import Key

EVERY_S = 10.0
FIRST_S = 2.0
OBJECT = ("namespace", "name")
LE = tuple(map(floatToGoString, BOUNDS))
OPERATIONS: tuple[Attempt, ...] = get_args(Attempt)
REMOVED_OF = "backup"  # retention removes what runs of BackupJobs stored

Existing = Mapping[str, Set[Key]]  # operation → the objects that its runs are counted by


class Counted:
    """The newest totals, and which objects there were when they were last listed."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.totals: Totals | None = None  # until Postgres has answered once
        self.existing: Existing = {}
        self._asked = asyncio.Event()

    async def refresh(self) -> None:
        """Read them again; without Postgres, of which ``postgres_up`` tells, they stay. Raises ConfigInvalid."""
        try:
            with suppress(HistoryUnavailable):
                async with self._history.connection() as connection:
                    found = await read(connection)
                self.totals = found.up_from(self.totals) if self.totals else found
        finally:
            self._asked.set()

    async def begun(self) -> None:
        """Return when Postgres was asked once, whatever came of it, and after FIRST_S at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._asked.wait()


def families(totals: Totals, existing: Existing, prefix: str) -> Iterator[Metric]:
    """The families of all operations. A run whose object was never known counts for its namespace, without a name."""
    namespaces = {namespace for keys in existing.values() for namespace, _ in keys}
    shown = {operation: keys | {(namespace, "") for namespace in namespaces} for operation, keys in existing.items()}
    endings: dict[str, dict[Ending, Endings]] = {operation: {} for operation in OPERATIONS}
    for ending, counted in totals.endings.items():
        if (ending.namespace, ending.name) in shown[ending.operation]:
            endings[ending.operation][ending] = counted
    for operation, of_operation in endings.items():
        yield _executions(prefix + operation, of_operation)
        yield _durations(prefix + operation, of_operation)
    removed = CounterMetricFamily(
        f"{prefix}retention_deleted_total", "Copies of a BackupJob's backups that retention deleted.", labels=OBJECT
    )
    for key, copies in totals.removed.items():
        if key in shown[REMOVED_OF]:
            removed.add_metric(key, copies)
    yield removed


def _executions(prefix: str, endings: Mapping[Ending, Endings]) -> Metric:
    made = CounterMetricFamily(
        f"{prefix}_executions_total", "Runs that ended, by result and error code.", labels=(*OBJECT, "result", "reason")
    )
    runs = Counter[tuple[str, ...]]()
    for ending, counted in endings.items():
        runs[ending.namespace, ending.name, ending.result, ending.reason] += counted.runs
    for labels, number in runs.items():
        made.add_metric(labels, number)
    return made


def _durations(prefix: str, endings: Mapping[Ending, Endings]) -> Metric:
    made = HistogramMetricFamily(f"{prefix}_duration_seconds", "How long completed runs took.", labels=OBJECT)
    runs: dict[Key, Counter[float]] = defaultdict(Counter)
    seconds: dict[Key, float] = defaultdict(float)
    for ending, counted in endings.items():
        if ending.result == "completed":
            key = (ending.namespace, ending.name)
            runs[key][ending.within] += counted.runs
            seconds[key] += counted.seconds
    for key, by_bound in runs.items():
        up_to = accumulate(by_bound[bound] for bound in BOUNDS)
        made.add_metric(key, list(zip(LE, up_to, strict=True)), sum_value=seconds[key])
    return made
