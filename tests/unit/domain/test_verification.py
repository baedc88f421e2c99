"""An equal database has no difference; each change is told as one that names it, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataguardian.domain import report as reports
from dataguardian.domain.manifest import Fingerprint, Sequence, Table
from dataguardian.domain.report import Report
from dataguardian.domain.verification import (
    Restored,
    RestoredSequence,
    RestoredTable,
    differences,
    remarks,
    verification,
)
from dataguardian.errors import VerificationFailed

NAMES = st.text(min_size=1, max_size=63)
HASHES = st.lists(st.text("0123456789abcdef", min_size=16, max_size=16), max_size=16, unique=True)
TABLES = st.builds(
    Table,
    schema=NAMES,
    name=NAMES,
    rows=st.integers(0, 2**63 - 1),
    indexes=st.integers(0, 40),
    constraints=st.integers(0, 40),
    sample=HASHES,
)
SEQUENCES = st.builds(Sequence, schema=NAMES, name=NAMES, value=st.none() | st.integers(-(2**63), 2**63 - 1))


def _key(thing: Any) -> tuple[str, str]:
    return thing.schema, thing.name


FINGERPRINTS = st.builds(
    Fingerprint,
    tables=st.lists(TABLES, max_size=6, unique_by=_key),
    sequences=st.lists(SEQUENCES, max_size=6, unique_by=_key),
    extensions=st.dictionaries(NAMES, NAMES, max_size=4),
    encoding=st.just("UTF8"),
)


def whole(expected: Fingerprint) -> Restored:
    """What a restore of it brings back."""
    return Restored(
        tables=[msgspec.convert(msgspec.to_builtins(table), RestoredTable) for table in expected.tables],
        sequences=[msgspec.convert(msgspec.to_builtins(each), RestoredSequence) for each in expected.sequences],
        extensions=expected.extensions,
    )


def changed(restored: Restored, table: Table, **changes: Any) -> Restored:
    """The same with another figure of one table."""
    tables = [
        msgspec.structs.replace(each, **changes) if (each.schema, each.name) == _key(table) else each
        for each in restored.tables
    ]
    return msgspec.structs.replace(restored, tables=tables)


@settings(deadline=None)
@given(FINGERPRINTS)
def test_an_equal_database_has_no_difference(expected: Fingerprint) -> None:
    assert differences(expected, whole(expected)) == []


@settings(deadline=None)
@given(FINGERPRINTS, NAMES, NAMES)
def test_what_a_restored_database_has_beyond_the_backup_is_no_difference(
    expected: Fingerprint, schema: str, name: str
) -> None:
    assume(expected.tables)
    assume(all(_key(each) != (schema, name) for each in [*expected.tables, *expected.sequences]))
    found = whole(expected)
    more = msgspec.structs.replace(
        found,
        tables=[*found.tables, RestoredTable(schema=schema, name=name, rows=3)],
        sequences=[
            *(msgspec.structs.replace(each, value=2**63 - 1) for each in found.sequences),
            RestoredSequence(schema=schema, name=name),
        ],
        extensions={**found.extensions, "plpgsql": "1.0"},
    )

    assert differences(expected, more) == []


Change = Callable[[Fingerprint, Table, Restored], Restored]
CHANGES: dict[str, Change] = {
    "is missing": lambda expected, table, found: msgspec.structs.replace(
        found, tables=[each for each in found.tables if (each.schema, each.name) != _key(table)]
    ),
    "cannot be read": lambda expected, table, found: changed(found, table, rows=None, sample=[]),
    "more rows": lambda expected, table, found: changed(found, table, rows=table.rows + 1),
    "fewer rows": lambda expected, table, found: changed(found, table, rows=table.rows - 1),
    "an index": lambda expected, table, found: changed(found, table, indexes=table.indexes - 1, flawed=["one"]),
    "a constraint": lambda expected, table, found: changed(found, table, constraints=table.constraints - 1),
    "a sampled row": lambda expected, table, found: changed(found, table, sample=table.sample[1:]),
}


@settings(deadline=None)
@pytest.mark.parametrize("change", CHANGES)
@given(FINGERPRINTS, st.data())
def test_each_change_of_a_table_is_one_difference_that_names_it(
    change: str, expected: Fingerprint, data: st.DataObject
) -> None:
    table = msgspec.structs.replace(data.draw(TABLES), schema="shop", name="orders", indexes=2, constraints=2)
    table = msgspec.structs.replace(table, sample=["00", *table.sample])
    assume(all(_key(each) != _key(table) for each in expected.tables))
    expected = msgspec.structs.replace(expected, tables=[*expected.tables, table])

    (sentence,) = differences(expected, CHANGES[change](expected, table, whole(expected)))

    assert sentence.startswith("Table shop.orders ")


@settings(deadline=None)
@given(FINGERPRINTS, st.integers(-(2**63), 2**63 - 2), st.sampled_from(["missing", "behind", "unused", "unreadable"]))
def test_each_change_of_a_sequence_is_one_difference_that_names_it(
    expected: Fingerprint, value: int, change: str
) -> None:
    assume(all(_key(each) != ("shop", "ids") for each in expected.sequences))
    found = whole(expected)
    expected = msgspec.structs.replace(
        expected, sequences=[*expected.sequences, Sequence(schema="shop", name="ids", value=value + 1)]
    )
    restored = {
        "missing": [],
        "behind": [RestoredSequence(schema="shop", name="ids", value=value)],
        "unused": [RestoredSequence(schema="shop", name="ids")],
        "unreadable": [RestoredSequence(schema="shop", name="ids", readable=False)],
    }[change]

    (sentence,) = differences(expected, msgspec.structs.replace(found, sequences=[*found.sequences, *restored]))

    assert sentence.startswith("Sequence shop.ids ")


@settings(deadline=None)
@given(FINGERPRINTS)
def test_an_extension_that_is_missing_is_one_difference_and_another_version_is_a_remark(expected: Fingerprint) -> None:
    assume("citext" not in expected.extensions)
    found = whole(expected)
    expected = msgspec.structs.replace(expected, extensions={**expected.extensions, "citext": "1.6"})
    newer = msgspec.structs.replace(found, extensions={**found.extensions, "citext": "1.7"})

    assert differences(expected, found) == ["Extension citext is missing"]
    assert differences(expected, newer) == []
    assert "Extension citext has version 1.7; the source had 1.6" in remarks(expected, newer)


@settings(deadline=None)
@given(FINGERPRINTS)
def test_what_was_not_recorded_is_not_compared(expected: Fingerprint) -> None:
    counted = [Table(schema=table.schema, name=table.name, rows=table.rows) for table in expected.tables]

    assert differences(Fingerprint(tables=counted), whole(expected)) == []


def test_rows_that_an_extension_may_have_brought_in_another_version_are_no_difference() -> None:
    table = Table(schema="public", name="spatial_ref_sys", rows=8500, extension="postgis")
    found = Restored(tables=[RestoredTable(schema="public", name="spatial_ref_sys", rows=8501)])

    assert differences(Fingerprint(tables=[table]), found) == []
    assert remarks(Fingerprint(tables=[table]), found) == ["Table public.spatial_ref_sys has 8501 rows instead of 8500"]


NAMED = [RestoredTable(schema="shop", name=name, rows=1) for name in ("orders", "items", "kinds")]


def test_a_backup_without_a_fingerprint_proves_nothing() -> None:
    expected, found = Fingerprint(extensions={"citext": "1"}), Restored(tables=NAMED, extensions={"citext": "1"})

    told = differences(expected, found)

    assert told == ["The backup has no fingerprint to compare with: none of the 3 restored tables was compared"]
    assert not verification(expected, found, told).passed
    assert remarks(expected, found) == []


def test_tables_that_were_not_counted_are_told_and_no_difference() -> None:
    expected = Fingerprint(tables=[Table(schema="shop", name="orders", rows=1)])
    found = Restored(tables=NAMED)

    assert differences(expected, found) == []
    assert remarks(expected, found) == ["Not compared, as the backup's fingerprint lacks them: 2 of 3 restored tables"]


def test_a_database_without_tables_passes_without_a_remark() -> None:
    brought = Restored(tables=[RestoredTable(schema="public", name="spatial_ref_sys", rows=9, of_extension=True)])

    for found in (Restored(), brought):
        assert differences(Fingerprint(), found) == remarks(Fingerprint(), found) == []


def test_the_figures_are_those_of_what_was_compared() -> None:
    expected = Fingerprint(
        tables=[
            Table(schema="shop", name="orders", rows=5, sample=["a", "b"]),
            Table(schema="shop", name="lost", rows=7, sample=["c"]),
            Table(schema="public", name="config", rows=2, sample=["d"], extension="cron"),
        ],
        sequences=[Sequence(schema="shop", name="ids", value=3)],
    )
    found = Restored(
        tables=[RestoredTable(schema="shop", name="orders", rows=4), RestoredTable(schema="shop", name="more", rows=9)]
    )

    figures = verification(expected, found, ["One.", "Two."])

    assert (figures.passed, figures.difference_count, figures.differences) == (False, 2, ["One.", "Two."])
    assert (figures.tables, figures.rows, figures.sequences, figures.sampled_rows) == (2, 4, 1, 3)
    assert verification(expected, found, []).passed


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=2000), max_size=40), st.text(max_size=3000))
def test_a_report_has_room_for_the_differences(found: list[str], what: str) -> None:
    failure = reports.failed(VerificationFailed(what, remedy=what), "check", [what])
    figures = verification(Fingerprint(), Restored(), found)
    figures = msgspec.structs.replace(figures, database="d" * 63, proof_key="k" * 300)

    message = reports.encode(msgspec.structs.replace(failure, verification=figures))

    assert len(message) <= reports.LIMIT_BYTES
    told = reports.decode(message.decode())
    assert isinstance(told, Report)
    assert told.verification == figures
    assert all(len(sentence) <= 320 for sentence in figures.differences)
