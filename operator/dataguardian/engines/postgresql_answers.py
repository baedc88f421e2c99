"""What PostgreSQL answers about the contents of a database: each line is a JSON array with a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Lines
from typing import TypeVar

import msgspec

from ..domain.manifest import Fingerprint, Sequence, Table
from ..domain.verification import Restored, RestoredSequence, RestoredTable
from ..errors import EngineFailed
from .source import Contents, Source


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


Kind = TypeVar("Kind", bound=Line)


def read(lines: Iterable[str]) -> list[Answer]:
    """The answers in these lines. Raises EngineFailed for a line that is none."""
    decoder = msgspec.json.Decoder(Answer)
    try:
        return [decoder.decode(line) for line in lines]
    except msgspec.DecodeError as error:
        raise EngineFailed(
            f"The server's answer cannot be read: {error}.", remedy="Report it with the run's log."
        ) from error


def source(lines: Lines[str]) -> Source:
    """What the lines tell of a source."""
    answers = read(lines)
    (described,) = _all(answers, Description)
    identity, values = _one(answers, Identity), _one(answers, SequenceValues)
    return msgspec.structs.replace(
        described.source,
        identity=identity.value if identity else "",
        sequence_values=values.values if values else None,
    )


def fingerprint(described: Source, contents: Contents, lines: Iterable[str]) -> tuple[Fingerprint, list[str]]:
    """What the dump holds, and sentences on what could not be read."""
    answers = read(lines)
    tables, missing = _tables(answers), []
    if len(tables) < len(contents.tables):
        missing.append(f"{len(contents.tables) - len(tables)} tables were not counted: another session waits for them")
    sequences, extensions, roles = _one(answers, DumpedSequences), _one(answers, Extensions), _one(answers, Roles)
    encoding, size = _one(answers, Encoding), _one(answers, Size)
    before, after = described.sequence_values, _one(answers, SequenceValues)
    values = _values(before, after.values) if before is not None and after is not None else None
    parts = {
        "sequences": sequences,
        "values of the sequences": values,
        "extensions": extensions,
        "roles": roles,
        "encoding": encoding,
        "size": size,
    }
    missing += [f"The {name} of the database could not be read" for name, part in parts.items() if part is None]
    found = Fingerprint(
        tables=tables,
        sequences=[
            Sequence(schema=each.schema, name=each.name, value=(values or {}).get(each.oid))
            for each in (sequences.sequences if sequences else [])
        ],
        extensions=extensions.versions if extensions else {},
        roles=roles.names if roles else [],
        encoding=encoding.name if encoding else "",
        database_bytes=size.bytes if size else 0,
    )
    return found, missing


def restored(lines: Iterable[str]) -> Restored:
    """What a restored database holds."""
    answers = read(lines)
    rows = {(each.schema, each.name): each for each in _all(answers, FoundRows)}
    extensions, error = _one(answers, Extensions), _one(answers, LastError)
    return Restored(
        tables=[_restored_table(each, rows.get((each.schema, each.name))) for each in _all(answers, FoundTable)],
        sequences=[
            RestoredSequence(schema=each.schema, name=each.name, value=each.value, readable=each.readable)
            for each in _all(answers, FoundSequence)
        ],
        extensions=extensions.versions if extensions else {},
        error=error.message if error else "",
    )


def _restored_table(found: FoundTable, rows: FoundRows | None) -> RestoredTable:
    return RestoredTable(
        schema=found.schema,
        name=found.name,
        rows=rows.rows if rows else None,
        indexes=found.indexes,
        constraints=found.constraints,
        flawed=found.flawed,
        sample=rows.hashes if rows else [],
    )


def _tables(answers: list[Answer]) -> list[Table]:
    """The tables that were counted."""
    rows = {each.oid: each for each in _all(answers, DumpedRows)}
    return [
        Table(
            schema=each.schema,
            name=each.name,
            rows=rows[each.oid].rows,
            indexes=each.indexes,
            constraints=each.constraints,
            sample=rows[each.oid].hashes,
            extension=each.extension or "",
        )
        for each in _all(answers, DumpedTable)
        if each.oid in rows
    ]


def _values(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """The values from before the dump began, which has these or later ones, but not of sequences that were set back."""
    return {oid: value for oid, value in before.items() if after.get(oid, value - 1) >= value}


def _all(answers: Iterable[Answer], kind: type[Kind]) -> Iterator[Kind]:
    return (each for each in answers if isinstance(each, kind))


def _one(answers: Iterable[Answer], kind: type[Kind]) -> Kind | None:
    return next(_all(answers, kind), None)
