"""A proof tells all that was compared, and has a name by which proofs are in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain import proof as proofs
from dataguardian.domain.proof import DIFFERENCES, Proof, figures, proof_key
from dataguardian.domain.report import Verification

TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def proof(differences: list[str]) -> Proof:
    """A proof of a verification with these differences."""
    found = Verification(passed=not differences, tables=3, rows=5502, sequences=2, sampled_rows=34)
    return Proof(
        execution_id="5a5a5a5a-0000-4000-8000-000000000000",
        execution_name="drill",
        backup_execution_id="9f8e7d6c-0000-4000-8000-000000000000",
        manifest_key="shop/nightly-0a1b2c3d/20261124T020000Z-9f8e7d6c/manifest.json",
        location="primary",
        target="Ephemeral",
        server_version="17.2",
        started_at="2026-11-24T04:00:00.000Z",
        completed_at="2026-11-24T04:01:00.000Z",
        restore_seconds=60,
        tools={"pg_restore": "17.2"},
        **figures(found, differences),
    )


def test_a_proof_lies_inside_the_backups_folder_and_is_dated_in_utc() -> None:
    moment = datetime(2026, 11, 24, 1, 2, 3, tzinfo=timezone(timedelta(hours=-3)))

    key = proof_key("shop/nightly-0a1b2c3d/20261124T020000Z-9f8e7d6c", moment, "5a5a5a5a-0000-4000-8000-000000000000")

    assert key == "shop/nightly-0a1b2c3d/20261124T020000Z-9f8e7d6c/proofs/20261124T040203Z-5a5a5a5a.json"


@settings(deadline=None)
@given(st.lists(TIMES, min_size=2, unique_by=lambda time: time.replace(microsecond=0)))
def test_proofs_are_in_the_order_of_their_times(times: list[datetime]) -> None:
    keys = [proof_key("folder", time, "5a5a5a5a-") for time in sorted(times)]

    assert keys == sorted(keys)


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_a_proof_read_back_is_the_one_that_was_written(differences: list[str]) -> None:
    assert msgspec.json.decode(proofs.encode(proof(differences)), type=Proof) == proof(differences)


def test_a_proof_has_all_differences_up_to_a_limit_and_always_their_number() -> None:
    some, many = proof(["one"] * 20), proof(["one"] * (DIFFERENCES + 5))

    assert (some.difference_count, len(some.differences)) == (20, 20)
    assert (many.difference_count, len(many.differences)) == (DIFFERENCES + 5, DIFFERENCES)
