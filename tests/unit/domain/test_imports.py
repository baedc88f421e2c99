"""Listings: when they are due, and what they say of the catalogue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.imports import (
    GONE,
    changed_copies,
    changes,
    import_names,
    imported,
    index_due,
    refused,
    request_of,
    unfit,
)
from dataguardian.domain.naming import INDEX_REQUESTED
from dataguardian.errors import NotFound
from dataguardian.resources.backup import BackupExecutionStatus, Copy
from dataguardian.resources.execution import RUN_NAME_MAX
from dataguardian.resources.storage_location import StorageLocation
from tests.unit.entries import CHECKSUM, NOW, CopyState, entry, found, id_of, key_of
from tests.unit.objects import bucket


def location(*, request: str | None = None, **status: Any) -> StorageLocation:
    there = bucket()
    meta = there.metadata.model_copy(update={"annotations": {INDEX_REQUESTED: request} if request else {}})
    return there.model_copy(update={"metadata": meta, "status": there.status.model_copy(update=status)})


def copies(**states: CopyState) -> list[Copy]:
    return [Copy(location=name, key=key_of(1), state=state) for name, state in states.items()]


def test_a_location_is_listed_once_it_is_available_and_then_in_its_interval() -> None:
    listed: dict[str, Any] = {"phase": "Available", "last_indexed_time": NOW}

    assert not index_due(location(), asked=False, now=NOW)
    assert index_due(location(phase="Available"), asked=False, now=NOW)
    assert not index_due(location(phase="Unreachable"), asked=True, now=NOW)
    assert not index_due(location(**listed), asked=False, now=NOW + timedelta(seconds=21599))
    assert index_due(location(**listed), asked=False, now=NOW + timedelta(seconds=21600))
    assert index_due(location(**listed), asked=True, now=NOW)


def test_each_new_value_of_the_annotation_asks_for_one_listing() -> None:
    listed: dict[str, Any] = {"phase": "Available", "last_indexed_time": NOW}
    asking = location(request="1", **listed)

    assert index_due(asking, asked=False, now=NOW)
    assert not index_due(location(request="1", last_index_request=request_of(asking), **listed), asked=False, now=NOW)
    assert index_due(location(request="2", last_index_request="1", **listed), asked=False, now=NOW)


def test_an_import_has_what_the_manifest_says_and_is_completed() -> None:
    status = imported(BackupExecutionStatus(), found(), generation=1)

    assert status is not None
    assert (status.phase, status.execution_id, status.datasource) == ("Completed", id_of(1), "orders")
    assert (status.dump_bytes, status.stored_bytes, status.checksum) == (2048, 1024, CHECKSUM)
    assert (status.engine_version, status.duration) == ("17.2", "1m30s")
    assert status.dump_time == datetime(2026, 11, 1, 2, tzinfo=UTC)
    assert status.copies == copies(primary="Stored")
    (ready,) = [each for each in status.conditions if each.type == "Ready"]
    assert (ready.status, ready.reason) == ("True", "Imported")


def test_an_import_that_has_ended_is_never_changed() -> None:
    done = imported(BackupExecutionStatus(), found(), generation=1)
    assert done is not None
    gone = NotFound("It is not there.", remedy="Look elsewhere.")

    assert imported(done, found(2), generation=1) is None
    assert refused(done, gone, uid=id_of(1), generation=1, now=NOW) is None


def test_a_refused_import_says_why() -> None:
    gone = NotFound("It is not there.", remedy="Look elsewhere.")

    status = refused(BackupExecutionStatus(), gone, uid=id_of(7), generation=1, now=NOW)

    assert status is not None
    assert status.error is not None
    assert (status.phase, status.execution_id, status.error.code) == ("Failed", id_of(7), "not-found")


@pytest.mark.parametrize(
    "fields",
    [
        {"whole": False},
        {"execution_id": "nightly"},
        {"execution_id": "{00000000-0000-0000-0000-000000000001}"},
        {"backup_job": "../other"},
        {"backup_job": "a" * 41},
        {"started_at": "yesterday"},
        {"completed_at": "2026-11-01T02:00:00"},
    ],
)
def test_a_manifest_that_cannot_be_an_entry_is_left_out(fields: dict[str, Any]) -> None:
    assert unfit(found()) is None
    assert unfit(found(**fields)) is not None


def test_texts_of_a_manifest_that_the_status_cannot_hold_are_left_out() -> None:
    strange = found(checksum="md5:1", datasource="Orders!", engine_version="1" * 100, dump_bytes=-1)

    status = imported(BackupExecutionStatus(), strange, generation=1)

    assert status is not None
    assert (status.checksum, status.datasource, status.dump_bytes) == (None, None, 0)
    assert len(status.engine_version or "") == 64


def test_an_entry_has_the_name_of_its_run_and_another_one_when_that_is_taken() -> None:
    assert import_names(found()) == ["nightly-1", "nightly-1-00000000"]
    assert import_names(found(execution_name="Not A Name!")) == ["nightly-00000000"]


@given(st.text(alphabet="ab-.A/", max_size=80))
def test_every_name_of_an_entry_is_valid(name: str) -> None:
    for each in import_names(found(execution_name=name)):
        assert 0 < len(each) <= RUN_NAME_MAX
        assert each.strip("-.") == each == each.lower()


def test_a_copy_that_a_complete_listing_does_not_find_is_missing_and_stored_when_it_is_back() -> None:
    stored = copies(primary="Stored", offsite="Stored")

    gone = changed_copies(stored, "primary", [], complete=True)

    assert gone == [Copy(location="primary", key=key_of(1), state="Missing", reason=GONE), stored[1]]
    assert changed_copies(gone, "primary", [found()], complete=True) == stored


def test_a_listing_that_may_have_left_something_out_says_nothing_of_what_it_did_not_find() -> None:
    stored = copies(primary="Stored")

    assert changed_copies(stored, "primary", [], complete=False) == stored


def test_a_copy_that_is_not_whole_is_missing() -> None:
    (copy,) = changed_copies(copies(primary="Stored"), "primary", [found(whole=False)], complete=True)

    assert copy.state == "Missing"
    assert "size" in (copy.reason or "")


def test_what_retention_removed_stays_removed() -> None:
    removed = copies(primary="Removed")

    assert changed_copies(removed, "primary", [found()], complete=True) == removed
    assert changed_copies(removed, "primary", [], complete=True) == removed


def test_a_known_backup_in_a_further_location_gets_that_copy() -> None:
    known = copies(primary="Stored")

    adopted = changed_copies(known, "offsite", [found(location="offsite")], complete=True)

    assert adopted == copies(primary="Stored", offsite="Stored")


def test_a_backup_that_was_moved_inside_its_location_is_found_under_its_new_key() -> None:
    (copy,) = changed_copies(
        copies(primary="Stored"), "primary", [found(key="shop/moved/manifest.json")], complete=True
    )

    assert (copy.state, copy.key) == ("Stored", "shop/moved/manifest.json")


def test_an_entry_is_changed_only_where_the_listing_says_something_new() -> None:
    assert not changes(entry(), "primary", [found()], complete=True)
    assert changes(entry(), "primary", [], complete=True)
    assert not changes(entry(phase="Failed"), "primary", [], complete=True)
    assert not changes(entry(), "offsite", [], complete=True)
