"""What speaks against a restore, from facts alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dataguardian.domain.manifest import Fingerprint, Manifest
from dataguardian.domain.plan import Endpoint, EphemeralServer, ExpectedTarget, RestorePlan
from dataguardian.domain.preflight import TargetState, refusals

MIB = 1024**2
ENDPOINT = Endpoint(
    datasource="Orders",
    engine="postgresql",
    host="db",
    port=5432,
    database="orders",
    username_file="u",
    password_file="p",
    tls_mode="prefer",
)
EPHEMERAL = EphemeralServer(engine="postgresql", socket_dir="/s", data_dir="/d")
PLAN = RestorePlan(execution_id="1", execution_name="r", namespace="shop", sources=[], target=ENDPOINT)
STATE = TargetState(
    version="17.2",
    major=17,
    identity="7420",
    database="orders",
    role="app",
    started="",
    may_create_databases=True,
    relations=0,
    examples=[],
)
MANIFEST = Manifest(
    execution_id="2",
    execution_name="nightly-1",
    namespace="shop",
    backup_job="nightly",
    backup_job_uid="3",
    engine="postgresql",
    engine_version="17.2",
    database="orders",
    server_identity="7420",
    dump_arguments=["--format=custom"],
    codec="zstd",
    level=3,
    segments=[],
    checksum="sha256:",
    dump_bytes=10 * MIB,
    stored_bytes=MIB,
    started_at="2026-11-24T02:00:00.000Z",
    completed_at="2026-11-24T02:01:00.000Z",
    tools={},
    fingerprint=Fingerprint(),
    restore_commands=[],
)


def changed(base: Any, **changes: Any) -> Any:
    """The same facts but for these."""
    return msgspec.structs.replace(base, **changes)


def codes(plan: RestorePlan = PLAN, manifest: Manifest = MANIFEST, state: TargetState = STATE) -> list[str]:
    """The codes of all refusals."""
    return [refusal.code for refusal in refusals(plan, manifest, state)]


def only(plan: RestorePlan = PLAN, manifest: Manifest = MANIFEST, state: TargetState = STATE) -> str:
    """What the one refusal says, with its remedy."""
    (refusal,) = refusals(plan, manifest, state)
    return str(refusal)


def test_nothing_speaks_against_an_empty_target_of_the_same_kind() -> None:
    assert codes() == []


def test_of_another_engine_nothing_else_is_compared() -> None:
    assert codes(manifest=changed(MANIFEST, engine="mariadb", engine_version="99")) == ["engine-mismatch"]


@pytest.mark.parametrize(("made_by", "refused"), [("18.1", True), ("18beta2", True), ("17.9", False), ("9.6", False)])
def test_a_server_must_be_of_the_backups_major_or_newer(made_by: str, refused: bool) -> None:
    assert codes(manifest=changed(MANIFEST, engine_version=made_by)) == ["server-too-old"] * refused


def test_what_was_expected_of_the_target_must_hold() -> None:
    assert codes(changed(PLAN, expected=ExpectedTarget(server_identity="7420", database="orders"))) == []
    told = only(changed(PLAN, expected=ExpectedTarget(server_identity="1", database="billing")))
    assert "'Orders'" in told
    assert "'7420' instead of '1'" in told
    assert "'orders' instead of 'billing'" in told


def test_an_identity_that_the_role_may_not_read_is_not_the_expected_one() -> None:
    told = only(changed(PLAN, expected=ExpectedTarget(server_identity="7420")), state=changed(STATE, identity=""))
    assert "pg_control_system" in told


def test_what_is_in_the_target_is_replaced_only_on_purpose_and_a_verification_does_not_touch_it() -> None:
    filled = changed(STATE, relations=3, examples=["public.orders"])
    assert "public.orders" in only(state=filled)
    assert codes(changed(PLAN, drop_existing=True), state=filled) == []
    assert codes(changed(PLAN, verify=True), state=filled) == []


def test_only_a_verification_needs_the_right_to_create_databases() -> None:
    powerless = changed(STATE, may_create_databases=False)
    assert codes(state=powerless) == []
    assert 'ALTER ROLE "app" CREATEDB' in only(changed(PLAN, verify=True), state=powerless)


@pytest.mark.parametrize(
    ("free", "database_bytes", "refused"),
    [(None, 99 * MIB, False), (50 * MIB, 50 * MIB, False), (50 * MIB, 51 * MIB, True), (9 * MIB, 0, True)],
)
def test_what_would_not_fit_is_refused_by_the_databases_size_else_by_the_dumps(
    free: int | None, database_bytes: int, refused: bool
) -> None:
    manifest = changed(MANIFEST, fingerprint=Fingerprint(database_bytes=database_bytes))
    assert codes(manifest=manifest, state=changed(STATE, free_bytes=free)) == ["target-too-small"] * refused


def test_what_the_server_lacks_is_named_with_what_brings_it() -> None:
    told = only(state=changed(STATE, missing_roles=["app", 'o"dd'], missing_extensions=["postgis"]))
    assert "app" in told
    assert "postgis" in told
    assert 'CREATE ROLE "o""dd" NOLOGIN;' in told


def test_of_many_missing_roles_the_first_are_named() -> None:
    told = only(state=changed(STATE, missing_roles=[f"role{number}" for number in range(25)]))
    assert "role9 and 15 more" in told


@pytest.mark.parametrize("argument", ["--schema=a", "--table=a", "--exclude-table=a"])
def test_a_part_of_a_database_may_not_need_what_the_whole_needs(argument: str) -> None:
    part = changed(MANIFEST, dump_arguments=["--format=custom", argument])
    assert codes(manifest=part, state=changed(STATE, missing_roles=["app"])) == []


def test_all_that_speaks_against_a_restore_is_told_at_once() -> None:
    state = changed(STATE, relations=1, examples=["public.t"], free_bytes=0, missing_extensions=["postgis"], major=16)
    expected = ["server-too-old", "target-mismatch", "target-not-empty", "target-too-small", "prerequisite-missing"]
    assert codes(changed(PLAN, expected=ExpectedTarget(database="x")), state=state) == expected


def test_an_ephemeral_server_that_is_too_small_is_named_as_what_it_is() -> None:
    assert "the ephemeral server" in only(
        changed(PLAN, target=EPHEMERAL, verify=True), state=changed(STATE, free_bytes=0)
    )
