"""What an engine tells about a database."""

from __future__ import annotations

import msgspec


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A database that is about to be dumped."""

    version: str
    major: int
    identity: str  # of the server; empty when the role may not read it
    extensions: dict[str, str]  # name → version
    snapshot: str  # what the dump must see


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """A database that is about to be loaded."""

    version: str
    major: int
    relations: int  # tables, views and sequences that are not an extension's
    examples: list[str]  # the first names of them


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a dump holds, by its own table of contents."""

    tables: list[int]  # the server's ids of the tables with data
    tool_version: str
