"""What a restored database lacks beside the fingerprint of the one that was backed up."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .manifest import Fingerprint, Sequence, Table
from .report import Verification

NAMED = 3  # of the things that one sentence names
# Of the differences in a report, which has to fit into a termination message; see ``report.LIMIT_BYTES``.
TOLD, TOLD_BYTES = 5, 240


class RestoredTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the restored database; figures as in ``manifest.Table``."""

    schema: str
    name: str
    rows: int | None = None  # None: they were not asked for, or cannot be read
    indexes: int = 0
    constraints: int = 0
    flawed: list[str] = []  # names of its indexes and constraints that are not valid
    sample: list[str] = []  # the expected hashes that are those of its rows
    of_extension: bool = False  # that brings it


class RestoredSequence(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence of the restored database."""

    schema: str
    name: str
    value: int | None = None  # None: it has given none out, or they come again or go down
    readable: bool = True


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restored database holds."""

    tables: list[RestoredTable] = []
    sequences: list[RestoredSequence] = []
    extensions: dict[str, str] = {}  # name → version
    error: str = ""  # why rows could not be read, by the server


def differences(expected: Fingerprint, restored: Restored) -> list[str]:
    """Sentences on all that was recorded and is not so in the restored database; none when it is a good copy.

    What was not recorded is not compared. Nor are tables of an extension: it brings rows of its own. When that leaves
    no table to compare, though the restored database has some, nothing is proven, and that is a difference.
    """
    return [
        *_unproven(expected, restored),
        *_extensions(expected, restored),
        *_tables(_compared(expected), restored),
        *_sequences(expected, restored),
    ]


def remarks(expected: Fingerprint, restored: Restored) -> list[str]:
    """Sentences on what is worth knowing and no fault of the backup."""
    return [
        *_partly(expected, restored),
        *(
            f"Extension {name} has version {restored.extensions[name]}; the source had {version}"
            for name, version in sorted(expected.extensions.items())
            if restored.extensions.get(name, version) != version
        ),
        *_tables([table for table in expected.tables if table.extension], restored),
    ]


def verification(expected: Fingerprint, restored: Restored, found: list[str]) -> Verification:
    """The figures of a comparison that found these differences; of the sentences those that a report has room for."""
    tables, names = _compared(expected), _by_name(restored)
    counted = [names[table.schema, table.name].rows for table in tables if (table.schema, table.name) in names]
    return Verification(
        passed=not found,
        tables=len(tables),
        rows=sum(rows for rows in counted if rows is not None),
        sequences=len(expected.sequences),
        sampled_rows=sum(len(table.sample) for table in tables),
        difference_count=len(found),
        differences=[_short(sentence) for sentence in found[:TOLD]],
    )


def _compared(expected: Fingerprint) -> list[Table]:
    return [table for table in expected.tables if not table.extension]


def _uncounted(expected: Fingerprint, restored: Restored) -> tuple[int, int]:
    """How many restored tables were not recorded, and how many there are, without those of extensions."""
    names = {(table.schema, table.name) for table in expected.tables}
    tables = [(table.schema, table.name) for table in restored.tables if not table.of_extension]
    return sum(name not in names for name in tables), len(tables)


def _unproven(expected: Fingerprint, restored: Restored) -> Iterator[str]:
    uncounted, _ = _uncounted(expected, restored)
    if uncounted and not _compared(expected):
        yield f"The backup has no fingerprint to compare with: none of the {uncounted} restored tables was compared"


def _partly(expected: Fingerprint, restored: Restored) -> Iterator[str]:
    uncounted, tables = _uncounted(expected, restored)
    if uncounted and _compared(expected):
        yield f"Not compared, as the backup's fingerprint lacks them: {uncounted} of {tables} restored tables"


def _extensions(expected: Fingerprint, restored: Restored) -> Iterator[str]:
    for name in sorted(expected.extensions.keys() - restored.extensions.keys()):
        yield f"Extension {name} is missing"


def _tables(expected: list[Table], restored: Restored) -> Iterator[str]:
    found = _by_name(restored)
    for table in expected:
        if (table.schema, table.name) in found:
            for what in _table(table, found[table.schema, table.name], restored.error):
                yield f"Table {table.schema}.{table.name} {what}"
        else:
            yield f"Table {table.schema}.{table.name} is missing; it had {table.rows} rows"


def _table(expected: Table, found: RestoredTable, error: str) -> Iterator[str]:
    if found.rows is None:
        yield f"cannot be read: {error or 'the server did not answer'}"
    else:
        if found.rows != expected.rows:
            yield f"has {found.rows} rows instead of {expected.rows}"
        if missing := len(set(expected.sample) - set(found.sample)):
            yield f"lacks {missing} of {len(expected.sample)} rows whose hashes were recorded"
    flawed = f"; not valid: {_names(found.flawed)}" if found.flawed else ""
    if expected.indexes and found.indexes != expected.indexes:
        yield f"has {found.indexes} valid indexes instead of {expected.indexes}{flawed}"
    if expected.constraints and found.constraints != expected.constraints:
        yield f"has {found.constraints} valid constraints instead of {expected.constraints}{flawed}"


def _sequences(expected: Fingerprint, restored: Restored) -> Iterator[str]:
    found = {(sequence.schema, sequence.name): sequence for sequence in restored.sequences}
    for sequence in expected.sequences:
        if what := _sequence(sequence, found.get((sequence.schema, sequence.name))):
            yield f"Sequence {sequence.schema}.{sequence.name} {what}"


def _sequence(expected: Sequence, found: RestoredSequence | None) -> str:
    if found is None:
        return "is missing"
    if expected.value is None:
        return ""
    if not found.readable:
        return "cannot be read: the role lacks the right to"
    if found.value is None or found.value < expected.value:
        at = "has given out no value" if found.value is None else f"is at {found.value}"
        return f"{at}; the source was at {expected.value}"
    return ""


def _by_name(restored: Restored) -> dict[tuple[str, str], RestoredTable]:
    return {(table.schema, table.name): table for table in restored.tables}


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _short(sentence: str) -> str:
    """The sentence, or as much of it as has its place in a report."""
    text = sentence
    while len(msgspec.json.encode(text)) > TOLD_BYTES:
        text = text[: len(text) * 9 // 10]
    return text if text == sentence else f"{text}…"
