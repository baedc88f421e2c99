"""Whether the audit log is what was written: every row of the chain is looked at, a page at a time."""

from __future__ import annotations

from ..errors import AuditBroken
from . import audit
from .chain import START, Head, Link
from .pool import History

PAGE = 1000  # rows in memory at once
PAGE_S = 60.0  # the longest that one page may take
REMEDY = "Somebody changed the table past its triggers: compare it with a copy, and look who has such rights."


async def verify(history: History, expected: Head | None = None) -> Head:
    """The head of a chain that is whole, and goes through ``expected``, an earlier head; rows later than this call are
    not looked at.

    Raises AuditBroken, which names the first row that is wrong; HistoryUnavailable or ConfigInvalid.
    """
    async with history.connection() as connection:
        newest = await audit.head(connection)
    if expected is not None and newest.seq < expected.seq:
        raise AuditBroken(
            f"seq {expected.seq} is missing: the log ends at seq {newest.seq}, and went on to there before.",
            remedy=REMEDY,
        )
    before, after = START, None
    while page := await _page(history, after=after, upto=newest.seq):
        for link in page:
            _check(link, before, expected)
            before = link.head
        after = before.seq
    return before


async def _page(history: History, *, after: int | None, upto: int) -> list[Link]:
    async with history.connection(limit_s=PAGE_S) as connection:
        return await audit.links(connection, after=after, upto=upto, limit=PAGE)


def _check(link: Link, before: Head, expected: Head | None) -> None:
    fault = link.fault(before)
    if fault is None and expected is not None and link.head.seq == expected.seq and link.hash != expected.hash:
        fault = "rewritten: its hash is not that of the head that was noted"
    if fault is not None:
        raise AuditBroken(f"seq {link.head.seq}, id {link.id}: {fault}.", remedy=REMEDY)
