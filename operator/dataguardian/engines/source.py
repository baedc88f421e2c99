"""What an engine tells about a database."""

from __future__ import annotations

import msgspec


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A database that is about to be dumped."""

    version: str
    major: int
    snapshot: str  # what the dump must see
    identity: str = ""  # of the server; empty when the role may not read it
    # Id of a sequence that only counts up → the last value it gave out before the snapshot; None: not known.
    sequence_values: dict[int, int] | None = None


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a dump holds, by its own table of contents."""

    tables: list[int]  # the server's ids of the tables, also of those whose rows are in partitions
    sequences: list[int]  # ids
    extensions: list[int]  # ids
    tool_version: str
