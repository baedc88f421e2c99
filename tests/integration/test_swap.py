"""A Swap gives the target's name, and all that belongs to it, to a new database; nobody ever sees half of a copy."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from contextlib import closing

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dataguardian.domain.swap import SwapTarget
from dataguardian.engines.postgresql import PostgreSQL
from dataguardian.errors import DataGuardianError
from dataguardian.runner import login
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run
from dataguardian.runner.session import Session

from .readers import Reader
from .services import PostgresServer, wait_until
from .swaps import Site, belongings

OUTAGE_SECONDS = 1.0


def test_who_reads_in_a_loop_sees_the_old_copy_and_then_the_new_one_and_is_away_for_less_than_a_second(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, source = site.target(), postgres_server.database()
    site.run("ALTER DATABASE {} OWNER TO {}", source, site.user)
    site.fill(source, "new", 2000)
    readers = [Reader(site.dsn(target)) for _ in range(4)]
    for reader in readers:
        reader.start()

    with site.swap(target, site.brought(source)) as swap:
        site.load(source, swap.prepare())
        switched = swap.switch()

    for reader in readers:
        wait_until(reader.sees_the_new_copy, what="it reads the new copy")
        reader.over.set()
        reader.join()
    longest = max(reader.longest for reader in readers)
    told = f"the switch took {switched.milliseconds} ms, the longest pause of four readers {1000 * longest:.0f} ms"
    sys.stdout.write(f"{told}\n")
    assert [reader.seen for reader in readers] == [[("old", "old", 1000), ("new", "new", 2000)]] * 4
    assert max(longest, switched.milliseconds / 1000) < OUTAGE_SECONDS
    assert (switched.previous, site.ours()) == (None, [])


def test_all_that_belongs_to_the_target_belongs_to_the_new_database(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, source, place = f"db_{uuid.uuid4().hex[:8]}", postgres_server.database(), site.place()
    team, app = site.role(f"ROLE {site.user}"), site.role()
    german = "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' TABLESPACE {}"
    site.run(german, target, place)
    site.run("ALTER ROLE {} CREATEROLE", site.user)
    site.run("GRANT SET ON PARAMETER my.text TO {}", site.user)
    for statement in (
        "ALTER DATABASE {0} OWNER TO {1}",
        "REVOKE ALL ON DATABASE {0} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {0} TO {2} WITH GRANT OPTION",
        "REVOKE TEMPORARY ON DATABASE {0} FROM {1}",
        'ALTER DATABASE {0} SET search_path = "$user", public, "Odd, ""Schema"',
        "ALTER DATABASE {0} SET work_mem = '7MB'",
        "ALTER DATABASE {0} SET my.text = 'it''s; \\ so'",
        "ALTER DATABASE {0} SET temp_tablespaces = ''",
        "ALTER ROLE {2} IN DATABASE {0} SET \"TimeZone\" = 'America/Sao_Paulo'",
        "COMMENT ON DATABASE {0} IS E'Staging\\nmasked by rules sha256:old\\nof \"orders\"'",
        "ALTER DATABASE {0} CONNECTION LIMIT 7 IS_TEMPLATE true",
    ):
        site.run(statement, target, team, app)
    for statement in (
        "CREATE SCHEMA extensions",
        "GRANT USAGE ON SCHEMA extensions TO {1}",
        "CREATE SCHEMA source_has",
        "CREATE EXTENSION hstore SCHEMA extensions VERSION '1.7'",
        "CREATE EXTENSION pg_trgm SCHEMA source_has",
        "CREATE EXTENSION citext",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {0} GRANT SELECT ON TABLES TO {1} WITH GRANT OPTION",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {0} REVOKE ALL ON FUNCTIONS FROM PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {1}",
    ):
        site.run(statement, team, app, database=target)
    site.run("CREATE SCHEMA source_has", database=source)
    site.run("CREATE EXTENSION citext", database=source)
    before = belongings(postgres_server, target)

    with site.swap(target, site.brought(source), keep_previous_seconds=60) as swap:
        access = swap.prepare()
        site.load(source, access)
        new = access.endpoint.database
        site.run("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT ALL ON TABLES TO {}", team, app, database=new)
        site.run("COMMENT ON DATABASE {} IS E'dataguardian-sync 1\\nmasked by rules sha256:new'", new)
        swap.switch()

    after = belongings(postgres_server, target)
    assert after == {**before, "comment": [('Staging\nof "orders"\nmasked by rules sha256:new',)]}
    for name in (target, *site.ours()):
        site.run("ALTER DATABASE {} IS_TEMPLATE false", name)


def test_nobody_else_enters_the_new_database_and_nobody_the_previous_one_which_can_be_renamed_back(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, other = site.target(), site.role("LOGIN PASSWORD 'other'")
    with site.swap(target, keep_previous_seconds=3600) as swap:
        new = swap.prepare().endpoint.database
        site.fill(new, "new", 1)
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(postgres_server.dsn(new, user=other, password="other"))
        switched = swap.switch()
    psycopg.connect(postgres_server.dsn(target, user=other, password="other")).close()
    previous = switched.previous
    assert previous is not None
    assert site.ours() == [previous]
    with pytest.raises(psycopg.OperationalError, match="not currently accepting"):
        psycopg.connect(postgres_server.dsn(previous))

    site.run("ALTER DATABASE {} RENAME TO {}", target, f"{target}_new")
    site.run("ALTER DATABASE {} RENAME TO {}", previous, target)
    site.run("ALTER DATABASE {} ALLOW_CONNECTIONS true", target)

    assert site.text(target) == ("old", "old", 1000)


@pytest.mark.parametrize("name", ['Odd "quoted".na\'me; --', "UPPER host=x", "ä" * 31 + "x"])
def test_a_target_may_have_any_name(site: Site, postgres_server: PostgresServer, name: str) -> None:
    target = site.target(name)
    with site.swap(target) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        swap.switch()

    assert site.text(target) == ("new", "new", 3)
    assert site.ours() == []
    postgres_server.drop(target)


def test_where_the_usual_third_database_lets_nobody_in_the_next_one_is_taken(site: Site) -> None:
    target = site.target()
    site.run("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    try:
        with site.swap(target) as swap:
            site.fill(swap.prepare().endpoint.database, "new", 3)
            swap.switch()
    finally:
        site.run("GRANT CONNECT ON DATABASE postgres TO PUBLIC")

    assert site.text(target) == ("new", "new", 3)


@pytest.mark.parametrize(
    ("statements", "code", "names"),
    [
        (["ALTER ROLE {1} NOCREATEDB"], "permission-refused", "CREATEDB;"),
        (["ALTER DATABASE {0} OWNER TO postgres"], "permission-refused", 'ALTER DATABASE "{0}" OWNER TO "{1}";'),
        (["ALTER DATABASE {0} SET log_statement = 'all'"], "permission-refused", "log_statement"),
        (["ALTER ROLE postgres IN DATABASE {0} SET work_mem = '1MB'"], "permission-refused", "superuser"),
    ],
)
def test_what_the_role_may_not_do_is_told_before_anything_is_touched(
    site: Site, statements: list[str], code: str, names: str
) -> None:
    target = site.target()
    for statement in statements:
        site.run(statement, target, site.user)

    with pytest.raises(DataGuardianError) as refused, site.swap(target) as swap:
        swap.prepare()

    assert refused.value.code == code
    assert names.format(target, site.user) in str(refused.value)
    assert site.ours() == []


def test_an_extension_that_the_role_may_not_make_is_told_before_anything_is_loaded(site: Site) -> None:
    target = site.target()
    site.run("CREATE EXTENSION pg_buffercache", database=target)

    with pytest.raises(DataGuardianError, match="pg_buffercache") as refused, site.swap(target) as swap:
        swap.prepare()

    assert refused.value.code == "permission-refused"
    assert site.ours() == []


def test_a_subscription_ties_the_target_to_its_database(site: Site) -> None:
    target = site.target()
    options = "CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    site.run(f"CREATE SUBSCRIPTION feed {options}", database=target)

    with pytest.raises(DataGuardianError, match="subscriptions feed") as refused, site.swap(target) as swap:
        swap.prepare()

    assert refused.value.code == "sync-refused"
    assert site.ours() == []


def test_a_session_that_may_not_be_ended_is_named_and_nobody_is_disturbed(
    site: Site, postgres_server: PostgresServer
) -> None:
    target = site.target()
    with (
        psycopg.connect(postgres_server.dsn(target), application_name="a backup tool"),
        psycopg.connect(site.dsn(target)) as application,
        site.swap(target) as swap,
    ):
        site.fill(swap.prepare().endpoint.database, "new", 3)

        with pytest.raises(DataGuardianError) as refused:
            swap.switch()

        assert application.execute("SELECT count(*) FROM copied").fetchone() == (1000,)
    assert refused.value.code == "permission-refused"
    assert "application 'a backup tool' (user 'postgres'" in refused.value.what
    assert site.text(target) == ("old", "old", 1000)
    assert site.ours() == []


def test_a_lock_on_the_database_is_waited_for_while_nobody_is_disturbed(
    site: Site, postgres_server: PostgresServer
) -> None:
    target = site.target()
    with psycopg.connect(postgres_server.dsn(), application_name="an admin") as admin, site.swap(target) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        admin.execute(SQL("COMMENT ON DATABASE {} IS 'soon'").format(Identifier(target)))

        with pytest.raises(DataGuardianError, match="application 'an admin'") as refused:
            swap.switch()

    assert refused.value.code == "target-locked"
    assert site.text(target) == ("old", "old", 1000)
    assert site.ours() == []


@pytest.mark.parametrize("late", [False, True])
def test_what_is_made_during_the_load_in_a_target_that_must_be_empty_is_not_lost(
    site: Site, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    target, end_sessions = postgres_server.database(), PostgreSQL.end_sessions
    site.run("ALTER DATABASE {} OWNER TO {}", target, site.user)

    def fill_before(engine: PostgreSQL, found: SwapTarget, *, but: int = 0) -> str:
        """Between the first look into the target and the moment in which nobody can enter it."""
        monkeypatch.setattr(PostgreSQL, "end_sessions", end_sessions)
        site.fill(target, "precious", 1)
        return end_sessions(engine, found, but=but)

    with site.swap(target, must_be_empty=True) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        if late:
            monkeypatch.setattr(PostgreSQL, "end_sessions", fill_before)
        else:
            site.fill(target, "precious", 1)

        with pytest.raises(DataGuardianError) as refused:
            swap.switch()

    assert refused.value.code == "target-not-empty"
    assert site.text(target) == ("precious", "precious", 1)
    assert site.ours() == []


def test_a_target_that_must_be_empty_and_is_so_is_switched(site: Site, postgres_server: PostgresServer) -> None:
    target = postgres_server.database()
    site.run("ALTER DATABASE {} OWNER TO {}", target, site.user)
    with site.swap(target, must_be_empty=True) as swap, psycopg.connect(site.dsn(target)):
        site.fill(swap.prepare().endpoint.database, "new", 3)
        switched = swap.switch()

    assert site.text(target) == ("new", "new", 3)
    assert switched.milliseconds < 1000 * OUTAGE_SECONDS


def test_a_switch_that_is_lost_before_its_commit_gives_the_names_back(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, new = site.target(), site.target()
    access = login.elsewhere(site.login(target), "postgres")
    engine = login.engine_of(access.endpoint)
    with closing(Session(Run(Lines("sync")), engine, access)) as acting:
        acting.ask(engine.begin_switch("lost"))
        acting.ask(engine.exchange(target, f"{target}_previous", new, "mark"))

        assert acting.ask("SHOW idle_in_transaction_session_timeout;") == ["5s"]
        wait_until(
            lambda: (
                not postgres_server.rows("postgres", "SELECT FROM pg_stat_activity WHERE application_name = 'lost'")
            ),
            what="the server ends the session",
        )

    assert site.text(target) == ("old", "old", 1000)


def test_a_session_that_does_not_end_in_time_leaves_the_target_its_name(site: Site) -> None:
    target = site.target()
    with psycopg.connect(site.dsn(target)) as application, site.swap(target) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        os.kill(application.info.backend_pid, signal.SIGSTOP)
        try:
            with pytest.raises(DataGuardianError, match="not left by all in time") as failed:
                swap.switch()
        finally:
            os.kill(application.info.backend_pid, signal.SIGCONT)

    assert failed.value.code == "target-locked"
    assert site.text(target) == ("old", "old", 1000)
    assert site.ours() == []
