"""The lines in which PostgreSQL describes the contents of a database: each is a JSON array with a tag."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..errors import EngineFailed
from .source import Source


class Line(msgspec.Struct, frozen=True, array_like=True):
    """Any of them."""


class Description(Line, frozen=True, tag="source"):
    """Of the source, without what follows."""

    source: Source


class Identity(Line, frozen=True, tag="identity"):
    """The server's system identifier."""

    value: str


class SequenceValues(Line, frozen=True, tag="sequence_values"):
    """Id of a sequence that only counts up → the last value it gave out."""

    values: dict[int, int]


class Extensions(Line, frozen=True, tag="extensions"):
    """Name → version."""

    versions: dict[str, str]


class Roles(Line, frozen=True, tag="roles"):
    """Those that own something or have been granted something."""

    names: list[str]


class Encoding(Line, frozen=True, tag="encoding"):
    """Of the database."""

    name: str


class Size(Line, frozen=True, tag="size"):
    """Of the database on the server's disk."""

    bytes: int


class DumpedSequence(msgspec.Struct, frozen=True, array_like=True):
    """A sequence of a dump."""

    oid: int
    schema: str
    name: str


class DumpedSequences(Line, frozen=True, tag="dumped_sequences"):
    """All of them."""

    sequences: list[DumpedSequence]


class DumpedTable(Line, frozen=True, tag="dumped_table"):
    """A table of a dump, without its rows."""

    oid: int
    schema: str
    name: str
    extension: str | None
    indexes: int
    constraints: int


class DumpedRows(Line, frozen=True, tag="dumped_rows"):
    """Rows of a table of a dump, and the hashes of some of them."""

    oid: int
    rows: int
    hashes: list[str]


class FoundTable(Line, frozen=True, tag="found_table"):
    """A restored table, without its rows; ``flawed`` are its indexes and constraints that are not valid."""

    schema: str
    name: str
    indexes: int
    constraints: int
    flawed: list[str]
    extension: str | None


class FoundRows(Line, frozen=True, tag="found_rows"):
    """Rows of a restored table, and the hashes of the sample that are among theirs."""

    schema: str
    name: str
    rows: int
    hashes: list[str]


class FoundSequence(Line, frozen=True, tag="found_sequence"):
    """A restored sequence."""

    schema: str
    name: str
    value: int | None
    readable: bool


class LastError(Line, frozen=True, tag="last_error"):
    """What the server said about the last statement that failed."""

    message: str


Answer = (
    Description
    | Identity
    | SequenceValues
    | Extensions
    | Roles
    | Encoding
    | Size
    | DumpedSequences
    | DumpedTable
    | DumpedRows
    | FoundTable
    | FoundRows
    | FoundSequence
    | LastError
)


def read(lines: Iterable[str]) -> list[Answer]:
    """The answers in these lines. Raises EngineFailed for a line that is none."""
    decoder = msgspec.json.Decoder(Answer)
    try:
        return [decoder.decode(line) for line in lines]
    except msgspec.DecodeError as error:
        raise EngineFailed(
            f"The server's answer cannot be read: {error}.", remedy="Report it with the run's log."
        ) from error
