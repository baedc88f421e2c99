"""Entries: what is kept of an ended run object."""

import pytest

from dataguardian.domain.catalogue import entry_of, with_copy
from dataguardian.resources.backup import MAX_COPIES, Copy
from tests.unit.entries import NOW, CopyState, entry, id_of
from tests.unit.objects import execution


def copy(location: str, state: CopyState = "Stored") -> Copy:
    return Copy(location=location, key="shop/manifest.json", state=state)


def test_an_entry_has_the_id_of_its_manifest_when_it_was_imported() -> None:
    own = execution(status={"phase": "Completed"})
    imported = execution(status={"phase": "Completed", "executionId": id_of(9)})

    assert entry_of(own, seen=NOW).execution_id == own.metadata.uid
    assert entry_of(imported, seen=NOW).execution_id == id_of(9)


@pytest.mark.parametrize(
    ("copies", "stored", "incomplete"),
    [
        ({"primary": "Stored"}, True, False),
        ({"primary": "Stored", "offsite": "Failed"}, True, True),
        ({"primary": "Stored", "offsite": "Missing"}, True, True),
        ({"primary": "Stored", "offsite": "Removed"}, True, False),
        ({"primary": "Missing"}, False, False),
        ({}, False, False),
    ],
)
def test_a_backup_that_is_stored_somewhere_misses_the_copies_that_were_to_be(
    copies: dict[str, CopyState], stored: bool, incomplete: bool
) -> None:
    assert entry(copies=copies).stored == stored
    assert entry(copies=copies).incomplete == incomplete


def test_a_copy_takes_the_place_of_its_location() -> None:
    there = [copy("primary"), copy("offsite", "Missing")]

    assert with_copy(there, copy("offsite")) == [copy("primary"), copy("offsite")]
    assert with_copy(there, copy("third")) == [*there, copy("third")]


def test_without_room_no_stored_copy_is_forgotten() -> None:
    full = [copy(f"location-{index}") for index in range(MAX_COPIES)]
    with_gap = [*full[:-1], copy("gone", "Removed")]

    assert with_copy(full, copy("new")) == full
    assert with_copy(with_gap, copy("new")) == [*full[:-1], copy("new")]
