"""A masked sync: the target never has what the source's columns hold, and a backup beside it has."""

from __future__ import annotations

from typing import Any

import pytest

from dataguardian.domain.plan import MaskingPlan, MaskingRule

from .masked import DIGEST, KEY, rule
from .rich import dumped
from .runs import Pod
from .services import PostgresServer
from .shop import shop
from .syncs import Pair, kept

BOTH = pytest.mark.parametrize("strategy", ["Transaction", "Swap"])
SECRET = "@customers.example"
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
JOINED = "SELECT count(*) FROM people JOIN visits ON visits.mail = people.mail"
RULES = (rule("people.mail", "hash"), rule("visits.mail", "hash"))


@pytest.fixture
def pair(pod: Pod, postgres_server: PostgresServer) -> Pair:
    """A source with mail addresses in two tables, and a target with other things."""
    source = postgres_server.database()
    postgres_server.sql(
        source,
        "CREATE TABLE people AS SELECT i AS id, i || '@customers.example' AS mail FROM generate_series(1, 50) i",
        "ALTER TABLE people ADD UNIQUE (mail)",
        "CREATE TABLE visits AS SELECT id, people.mail FROM people, generate_series(1, 4)",
    )
    return Pair(pod, postgres_server, source, shop(postgres_server))


def masking(pair: Pair, *rules: MaskingRule, **changes: Any) -> MaskingPlan:
    """Rules with the key."""
    return MaskingPlan(digest=DIGEST, rules=list(rules), key_file=pair.pod.secret("masking-key", KEY), **changes)


@BOTH
def test_only_the_backup_beside_a_masked_sync_has_what_the_source_has(pair: Pair, strategy: str) -> None:
    volume = pair.pod.volume()
    plan = kept(pair, volume, masking=masking(pair, *RULES, require_all=True), strategy=strategy)

    ended = pair.pod.run(plan)

    assert ended.status == 0, ended.output
    assert SECRET not in dumped(pair.server, pair.target)
    assert pair.server.rows(pair.target, JOINED) == [(200,)]
    assert DIGEST in str(pair.server.rows(pair.target, COMMENT))
    assert ended.told.synced is not None
    assert (ended.told.synced.masking_digest, ended.told.synced.masked_columns) == (DIGEST, 2)
    restored = pair.server.database()
    assert pair.pod.run(pair.pod.restore_plan(restored, volume)).status == 0
    assert dumped(pair.server, restored) == dumped(pair.server, pair.source)


def test_rows_are_masked_where_the_target_makes_each_session_a_replicas(pair: Pair) -> None:
    pair.server.sql("postgres", f"ALTER DATABASE {pair.target} SET session_replication_role = replica")

    ended = pair.pod.run(pair.plan(masking=masking(pair, *RULES, require_all=True)))

    assert ended.status == 0, ended.output
    assert SECRET not in dumped(pair.server, pair.target)


@BOTH
def test_a_sync_without_masking_takes_from_the_target_what_said_that_it_is_masked(pair: Pair, strategy: str) -> None:
    pair.server.sql("postgres", f"COMMENT ON DATABASE {pair.target} IS 'Of the team.'")
    assert pair.pod.run(pair.plan(masking=masking(pair, *RULES), strategy=strategy)).status == 0
    assert DIGEST in str(pair.server.rows(pair.target, COMMENT))

    assert pair.pod.run(pair.plan(strategy=strategy)).status == 0

    assert pair.server.rows(pair.target, COMMENT) == [("Of the team.",)]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_restore_takes_from_a_masked_database_what_said_that_it_is_masked(pair: Pair, atomic: bool) -> None:
    volume = pair.pod.volume()
    plan = kept(pair, volume, masking=masking(pair, *RULES))
    assert pair.pod.run(plan).status == 0
    assert DIGEST in str(pair.server.rows(pair.target, COMMENT))

    restored = pair.pod.run(pair.pod.restore_plan(pair.target, volume, drop_existing=True, atomic=atomic))

    assert restored.status == 0, restored.output
    assert SECRET in dumped(pair.server, pair.target)
    assert pair.server.rows(pair.target, COMMENT) == [(None,)]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ((rule("people.mail", "hash"),), "columns-unclassified"),
        ((*RULES, rule("people.phone", "null")), "masking-invalid"),
    ],
)
def test_columns_without_a_decision_and_rules_without_a_column_stop_a_sync_before_a_byte_has_moved(
    pair: Pair, rules: tuple[MaskingRule, ...], code: str
) -> None:
    ended = pair.refused(pair.plan(masking=masking(pair, *rules, require_all=True)))

    assert ended.failure == (64, code, "connect")
    assert [line["action"] for line in ended.lines if line["action"] in ("dump_began", "tables_removed")] == []


@BOTH
def test_a_masked_row_that_breaks_a_constraint_is_told_and_the_target_stays(pair: Pair, strategy: str) -> None:
    same = rule("people.mail", "fixed", "nobody")

    ended = pair.refused(pair.plan(masking=masking(pair, same), strategy=strategy))

    assert ended.failure == (70, "masking-failed", "load")
    assert SECRET not in ended.text
