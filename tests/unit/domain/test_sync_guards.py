from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.plan import Endpoint, ExpectedTarget, MaskingPlan, SyncPlan
from dataguardian.domain.preflight import TargetState
from dataguardian.domain.sync_guards import Both, SyncSource, SyncTarget, of_other_engines, refusals, removed

MIB = 1024**2


def endpoint(datasource: str, database: str) -> Endpoint:
    """A database."""
    return Endpoint(
        datasource=datasource,
        engine="postgresql",
        host="db",
        port=5432,
        database=database,
        username_file="",
        password_file="",
        tls_mode="prefer",
    )


PLAN = SyncPlan(
    execution_id="7b7b7b7b-0000-4000-8000-000000000000",
    execution_name="staging-202611240300",
    namespace="shop",
    job_name="staging",
    source=endpoint("Production", "orders"),
    target=endpoint("staging", "orders"),
)
SOURCE = SyncSource(
    version="17.2",
    identity="7420",
    database="orders",
    in_recovery=False,
    bytes=50 * MIB,
    extensions=["plpgsql"],
    roles=["app"],
    tables=[("public", "orders")],
)
TARGET = TargetState(
    version="17.2",
    major=17,
    identity="7421",
    database="orders",
    role="sync",
    started="",
    may_create_databases=False,
    relations=0,
    examples=[],
)
SYNC = SyncTarget(
    is_source=False,
    in_recovery=False,
    owns=True,
    is_marked=False,
    may_create=True,
    foreign_owners=[],
    superusers=[],
    tables=[],
)


def both(source: dict[str, Any] | None = None, sync: dict[str, Any] | None = None, **target: Any) -> Both:
    """The same facts but for these."""
    return Both(
        source=msgspec.structs.replace(SOURCE, **(source or {})),
        target=msgspec.structs.replace(TARGET, **target),
        sync=msgspec.structs.replace(SYNC, **(sync or {})),
    )


def codes(facts: Both, **plan: Any) -> list[str]:
    """The codes of all refusals."""
    return [refusal.code for refusal in refusals(msgspec.structs.replace(PLAN, **plan), facts)]


def only(facts: Both, **plan: Any) -> str:
    """What the one refusal says, with its remedy."""
    (refusal,) = refusals(msgspec.structs.replace(PLAN, **plan), facts)
    return str(refusal)


def test_nothing_speaks_against_an_empty_target_on_another_server() -> None:
    assert codes(both()) == []


def test_other_engines_are_told_without_asking_a_server() -> None:
    other = msgspec.structs.replace(PLAN.target, engine="mariadb")
    refused = of_other_engines(msgspec.structs.replace(PLAN, target=other))

    assert refused is not None
    assert refused.code == "engine-mismatch"
    assert of_other_engines(PLAN) is None


def test_a_target_that_sees_the_session_in_the_source_is_the_source_whatever_else_is_known() -> None:
    facts = both({"identity": ""}, {"is_source": True}, identity="")

    told = only(facts)

    assert "'Production' and 'staging' are one database, 'orders'" in told


@given(st.booleans(), st.booleans(), st.sampled_from(["7420", "7421", ""]), st.sampled_from(["orders", "copy"]))
def test_one_is_a_replica_of_the_other_only_with_one_identity_and_name_and_in_recovery(
    source_recovers: bool, target_recovers: bool, identity: str, database: str
) -> None:
    facts = both(
        {"in_recovery": source_recovers}, {"in_recovery": target_recovers}, identity=identity, database=database
    )

    code = {"7420": ["same-database"], "7421": [], "": ["permission-refused"]}[identity]

    assert codes(facts) == (code if database == "orders" and (source_recovers or target_recovers) else [])


def test_a_replica_whose_server_nobody_may_identify_is_not_trusted_to_be_another_one() -> None:
    told = only(both({"identity": "", "in_recovery": True}))

    assert "'Production'" in told
    assert "GRANT EXECUTE ON FUNCTION pg_control_system()" in told
    assert codes(both({"identity": ""}, identity="")) == []  # primaries see each other's sessions


def test_a_swap_renames_only_the_database_that_was_looked_at() -> None:
    facts = both(database="orders_v2")

    assert "Set spec.database of the Datasource to 'orders_v2'" in only(facts, strategy="Swap")
    assert codes(facts) == []


@pytest.mark.parametrize(
    ("expected", "refused"),
    [
        ({"server_identity": "7421", "database": "orders"}, False),
        ({"server_identity": "7420"}, True),
        ({"database": "billing"}, True),
    ],
)
def test_a_target_that_is_another_one_than_the_job_expects_is_refused(expected: dict[str, str], refused: bool) -> None:
    assert codes(both(), expected=ExpectedTarget(**expected)) == ["target-mismatch"] * refused


@pytest.mark.parametrize(("version", "refused"), [("18.1", True), ("17.9", False), ("16.4", False), ("9.6", False)])
def test_the_target_must_be_of_the_sources_major_or_newer(version: str, refused: bool) -> None:
    assert codes(both({"version": version})) == ["server-too-old"] * refused


def test_what_is_in_the_target_is_replaced_only_on_purpose() -> None:
    facts = both(relations=3, examples=["public.orders"])

    told = only(facts)

    assert "public.orders" in told
    assert "spec.dropExisting" in told
    assert codes(facts, drop_existing=True) == []


def test_a_right_that_is_missing_is_named_with_the_statement_that_gives_it() -> None:
    facts = both(sync={"may_create": False, "foreign_owners": ["app", 'o"dd']})

    create, drop = refusals(PLAN, facts)

    assert (create.code, drop.code) == ("permission-refused", "permission-refused")
    assert 'GRANT CREATE ON DATABASE "orders" TO "sync";' in str(create)
    assert 'GRANT "app", "o""dd" TO "sync";' in str(drop)


@pytest.mark.parametrize(("masking", "is_marked"), [(MaskingPlan(digest="sha256:12"), False), (None, True)])
def test_who_may_not_tell_in_the_comment_by_which_rules_a_target_is_masked_is_refused(
    masking: MaskingPlan | None, is_marked: bool
) -> None:
    facts = both(sync={"owns": False, "is_marked": is_marked})

    assert 'ALTER DATABASE "orders" OWNER TO "sync";' in only(facts, masking=masking)
    assert codes(facts, masking=masking, strategy="Swap") == []
    assert codes(both(sync={"owns": False})) == []


def test_nobody_is_told_to_grant_a_superuser() -> None:
    told = only(both(sync={"foreign_owners": ["app", "postgres"], "superusers": ["postgres"]}))

    assert 'GRANT "app" TO "sync"; ALTER … OWNER TO "sync"; for what belongs to "postgres"' in told
    assert 'GRANT "postgres"' not in told


def test_a_swap_needs_no_rights_inside_the_target() -> None:
    assert codes(both(sync={"may_create": False, "foreign_owners": ["app"]}), strategy="Swap") == []


def test_what_the_target_has_no_room_for_or_lacks_is_told_at_once() -> None:
    facts = both(free_bytes=49 * MIB, missing_roles=["app"], missing_extensions=["postgis"])

    assert codes(facts) == ["target-too-small", "prerequisite-missing"]


def test_tables_that_the_source_does_not_have_are_those_that_go_for_good() -> None:
    facts = both(sync={"tables": [("public", "orders"), ("old", "b"), ("old", "a")]})

    assert removed(facts) == ["old.a", "old.b"]
