"""What PostgreSQL's answers say about the contents of a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Lines
from typing import TypeVar

import msgspec

from ..domain.manifest import Fingerprint, Sequence, Table
from ..domain.verification import Restored, RestoredSequence, RestoredTable
from .postgresql_lines import (
    Answer,
    Description,
    DumpedRows,
    DumpedSequences,
    DumpedTable,
    Encoding,
    Extensions,
    FoundRows,
    FoundSequence,
    FoundTable,
    Identity,
    LastError,
    Line,
    Roles,
    SequenceValues,
    Size,
    read,
)
from .source import Contents, Source

Kind = TypeVar("Kind", bound=Line)


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
        of_extension=found.extension is not None,
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
