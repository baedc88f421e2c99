"""What speaks against a sync is told with a code and a remedy, before anything is touched."""

from __future__ import annotations

import msgspec
import pytest

from dataguardian.domain.plan import ExpectedTarget

from .replicas import replica_of
from .runs import Pod
from .services import PostgresServer, free_port
from .shop import content, shop
from .syncs import SOURCE, TARGET, Pair


@pytest.fixture
def pair(pod: Pod, postgres_server: PostgresServer) -> Pair:
    """Two databases that differ, on one server."""
    target = shop(postgres_server)
    postgres_server.sql(target, "DELETE FROM orders WHERE id > 10")
    return Pair(pod, postgres_server, shop(postgres_server), target)


def test_one_database_under_two_names_is_not_synced_with_itself(pod: Pod, postgres_server: PostgresServer) -> None:
    database = shop(postgres_server)
    pair = Pair(pod, postgres_server, database, database)
    plan = pair.plan(target=pod.endpoint(database, datasource=TARGET, host="localhost"))

    ended = pair.refused(plan)

    assert ended.failure == (64, "same-database", "connect")
    assert SOURCE in ended.message
    assert TARGET in ended.message


def test_a_replica_is_the_database_of_its_primary_and_a_source_for_others(
    pod: Pod, postgres_server: PostgresServer
) -> None:
    database, other = shop(postgres_server), postgres_server.database()
    with replica_of(postgres_server) as replica:
        source = pod.endpoint(database, replica, datasource=SOURCE)
        same = pod.run(pod.sync_plan(source, pod.endpoint(database, datasource=TARGET), drop_existing=True))
        copied = pod.run(pod.sync_plan(source, pod.endpoint(other, datasource=TARGET)))

    assert same.failure == (64, "same-database", "connect")
    assert copied.status == 0, copied.output
    assert content(postgres_server, other) == content(postgres_server, database)


@pytest.mark.parametrize("strategy", ["Transaction", "Swap"])
def test_a_target_that_is_another_one_than_the_job_expects_is_left_alone(pair: Pair, strategy: str) -> None:
    elsewhere = pair.refused(pair.plan(strategy=strategy, expected=ExpectedTarget(database="elsewhere")))
    another = pair.refused(pair.plan(strategy=strategy, expected=ExpectedTarget(server_identity="1")))

    assert elsewhere.failure == another.failure == (64, "target-mismatch", "connect")
    assert "spec.expectedTarget" in elsewhere.text


def test_the_target_that_the_job_expects_becomes_a_copy(pair: Pair) -> None:
    ((identity,),) = pair.server.rows(pair.target, "SELECT system_identifier FROM pg_control_system()")

    ended = pair.pod.run(pair.plan(expected=ExpectedTarget(server_identity=str(identity), database=pair.target)))

    assert ended.status == 0, ended.output
    assert pair.found == pair.copied


def test_a_target_that_is_not_empty_is_replaced_only_on_purpose(pair: Pair) -> None:
    ended = pair.refused(pair.plan(drop_existing=False))

    assert ended.failure == (64, "target-not-empty", "connect")
    assert "spec.dropExisting" in ended.text


def test_a_role_that_may_not_replace_the_target_is_told_what_it_lacks(pair: Pair) -> None:
    role, secret = f"sync_{pair.target}", "sync-password"
    pair.server.sql("postgres", f"CREATE ROLE {role} LOGIN PASSWORD '{secret}'")
    target = pair.pod.endpoint(
        pair.target,
        datasource=TARGET,
        username_file=pair.pod.secret("role", role),
        password_file=pair.pod.secret("role-password", secret),
    )
    plan = pair.plan(target=target)

    powerless = pair.refused(plan)
    pair.server.sql("postgres", f"GRANT CREATE ON DATABASE {pair.target} TO {role}")
    foreign = pair.refused(plan)

    assert powerless.failure == foreign.failure == (77, "permission-refused", "connect")
    assert f'GRANT CREATE ON DATABASE \\"{pair.target}\\" TO \\"{role}\\";' in powerless.output
    assert f'ALTER … OWNER TO \\"{role}\\";' in foreign.output
    assert f'GRANT \\"{pair.server.user}\\"' not in foreign.output


def test_a_role_that_the_targets_server_lacks_is_named(pod: Pod, fragile_postgres: PostgresServer, pair: Pair) -> None:
    fragile_postgres.start()
    role = f"app_{pair.source}"
    pair.server.sql(pair.source, f"CREATE ROLE {role}", f"ALTER TABLE orders OWNER TO {role}")
    elsewhere = Pair(pod, fragile_postgres, pair.source, shop(fragile_postgres))

    ended = elsewhere.refused(elsewhere.plan())

    assert ended.failure == (64, "prerequisite-missing", "connect")
    assert f'CREATE ROLE \\"{role}\\" NOLOGIN;' in ended.output


def test_an_extension_that_the_targets_server_lacks_is_named(pair: Pair) -> None:
    vanish = "UPDATE pg_extension SET extname = 'vanished' WHERE extname = 'hstore'"
    pair.server.sql(pair.source, "CREATE EXTENSION hstore", vanish)

    ended = pair.refused(pair.plan())

    assert ended.failure == (64, "prerequisite-missing", "connect")
    assert "vanished" in ended.message


def test_a_source_for_which_the_targets_disk_has_no_room_is_refused(pair: Pair) -> None:
    assert pair.refused(pair.plan(capacity_bytes=1_000_000)).failure == (64, "target-too-small", "connect")


@pytest.mark.parametrize("away", ["source", "target"])
def test_a_server_that_is_away_is_told_from_the_other_one(pair: Pair, away: str) -> None:
    plan = pair.plan()
    endpoint = msgspec.structs.replace(getattr(plan, away), port=free_port())

    ended = pair.refused(msgspec.structs.replace(plan, **{away: endpoint}))

    assert ended.failure == (75, "database-unavailable", "connect")
    assert repr(endpoint.datasource) in ended.message


def test_another_kind_of_database_is_refused(pair: Pair) -> None:
    plan = pair.plan()
    other = msgspec.structs.replace(plan.target, engine="mariadb")

    assert pair.refused(msgspec.structs.replace(plan, target=other)).failure == (64, "engine-mismatch", "connect")
