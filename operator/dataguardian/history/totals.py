"""The tables ``execution_totals`` and ``removal_totals``, which triggers keep: how often something ended, ever.

They never go down, whatever becomes of the rows that they counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from psycopg import AsyncConnection

Key = TypeVar("Key")
Count = TypeVar("Count", int, "Endings")

# Upper bounds of the durations that are counted apart, in seconds; migration 0010 has the same.
BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 28800.0, 86400.0, float("inf"))


class Ending(NamedTuple):
    """How a run ended."""

    operation: str
    namespace: str
    name: str  # of the job; of a restore that of its target Datasource; empty where it was never known
    result: str  # completed, failed, cancelled
    reason: str  # its error code, or empty
    within: float  # the first of BOUNDS that its duration does not exceed


class Endings(NamedTuple):
    """How many runs ended in that way, and how many seconds they took together."""

    runs: int
    seconds: float


@dataclass(frozen=True)
class Totals:
    """What was counted so far."""

    endings: Mapping[Ending, Endings]
    removed: Mapping[tuple[str, str], int]  # copies, by namespace and name of the BackupJob

    def up_from(self, earlier: Totals) -> Totals:
        """These totals, and the earlier ones where they are higher: a server may have lost its last rows."""
        return Totals(_highest(earlier.endings, self.endings), _highest(earlier.removed, self.removed))


ENDINGS = "SELECT operation, namespace, name, result, reason, within_seconds, runs, seconds FROM execution_totals"
REMOVED = "SELECT namespace, name, copies FROM removal_totals"


async def read(connection: AsyncConnection) -> Totals:
    """All of them."""
    endings = await (await connection.execute(ENDINGS)).fetchall()
    removed = await (await connection.execute(REMOVED)).fetchall()
    return Totals(
        {Ending(*key): Endings(runs, seconds) for *key, runs, seconds in endings},
        {(namespace, name): copies for namespace, name, copies in removed},
    )


def _highest(earlier: Mapping[Key, Count], now: Mapping[Key, Count]) -> dict[Key, Count]:
    return {**earlier, **{key: max(count, earlier.get(key, count)) for key, count in now.items()}}
