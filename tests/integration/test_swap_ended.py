"""A Swap that is ended in its middle leaves the target as it was, and what it leaves beside it goes."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from dataguardian.domain.plan import DatasourceProbe, ExpirePlan
from dataguardian.errors import Cancelled
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run

from .clients import hold_commits
from .runs import Pod
from .services import PostgresServer, wait_until
from .swaps import Site

SWITCHING = "FROM pg_stat_activity WHERE application_name LIKE 'dataguardian-%-switch'"
IDENTITY = "SELECT system_identifier::text FROM pg_control_system()"


def test_a_cancelled_run_drops_the_new_database(site: Site) -> None:
    target, run = site.target(), Run(Lines("sync"))
    with site.swap(target, run=run) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        run.cancel()

        with pytest.raises(Cancelled):
            swap.switch()

    assert site.text(target) == ("old", "old", 1000)
    assert site.ours() == []


def test_a_run_that_is_cancelled_while_it_waits_for_others_leaves_the_target_as_it_was(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, run = site.target(), Run(Lines("sync"))

    def cancel() -> None:
        wait_until(lambda: postgres_server.rows("postgres", f"SELECT {SWITCHING}"), what="it waits")
        run.cancel()

    waiting = threading.Thread(target=cancel)
    with psycopg.connect(postgres_server.dsn(target)), site.swap(target, run=run, patience_seconds=60) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        waiting.start()

        with pytest.raises(Cancelled):
            swap.switch()

    waiting.join()
    assert site.text(target) == ("old", "old", 1000)
    assert site.ours() == []


def test_what_a_killed_run_left_and_what_is_over_the_next_one_drops_and_that_of_a_run_that_goes_on_stays(
    site: Site, postgres_server: PostgresServer
) -> None:
    target, killed = site.target(), Run(Lines("sync"))
    with site.swap(target, run=killed) as dead:
        left = dead.prepare().endpoint.database
        killed.stop_tools()
        old, going_on = f"{left[:-14]}20200101000000", f"{left[:-14]}20200101000001"
        wait_until(
            lambda: not postgres_server.rows("postgres", f"SELECT FROM pg_stat_activity WHERE datname = '{left}'"),
            what="the killed run's session is gone",
        )
        site.run("ALTER DATABASE {} RENAME TO {}", left, old)
        site.run("CREATE DATABASE {} OWNER {}", going_on, site.user)
        site.run("COMMENT ON DATABASE {} IS 'dataguardian-sync 2'", going_on)
        site.previous(target, "20200101000000")

        with psycopg.connect(site.dsn(going_on)), site.swap(target) as swap:
            new = swap.prepare().endpoint.database
            after_prepare = site.ours()
            probed = site.pod.run(DatasourceProbe(source=site.endpoint(target)))
            after_probe = site.ours()

    assert probed.status == 0, probed.output
    assert after_prepare == after_probe == sorted([going_on, new])
    assert site.ours() == [going_on]


def test_a_commit_whose_answer_is_lost_is_asked_about(
    tmp_path: Path, fragile_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragile_postgres.start()
    site, run = Site(Pod(tmp_path, fragile_postgres), fragile_postgres), Run(Lines("sync"))
    monkeypatch.setenv("DATAGUARDIAN_WORK_DIR", str(tmp_path))

    def lose_answer() -> None:
        waiting = f"{SWITCHING} AND wait_event = 'SyncRep'"
        wait_until(lambda: fragile_postgres.rows("postgres", f"SELECT {waiting}"), what="the commit waits")
        fragile_postgres.rows("postgres", f"SELECT pg_terminate_backend(pid) {waiting}")

    target, losing = site.target(), threading.Thread(target=lose_answer)
    with site.swap(target, run=run, keep_previous_seconds=60) as swap:
        site.fill(swap.prepare().endpoint.database, "new", 3)
        hold_commits(fragile_postgres, held=True)
        losing.start()
        switched = swap.switch()
        hold_commits(fragile_postgres, held=False)

    losing.join()
    assert switched.previous in site.ours()
    assert "confirmed by another connection" in run.warnings[0]
    assert site.text(target) == ("new", "new", 3)


def test_expire_drops_what_is_over_and_nothing_else(site: Site, postgres_server: PostgresServer) -> None:
    target, other = site.target(), site.target()
    with site.swap(target, keep_previous_seconds=3600) as swap:
        swap.prepare()
        kept = swap.switch().previous
    over, entered = (site.previous(target, digits) for digits in ("20200101000000", "20200101000001"))
    of_other, unmarked = site.previous(other, "20200101000000"), f"dg_previous_{target}_20200101000002"
    site.run("CREATE DATABASE {} OWNER {}", unmarked, site.user)

    with psycopg.connect(site.dsn(entered)):
        ended = site.pod.run(ExpirePlan(target=site.endpoint(target), previous=over))

    assert ended.status == 0, ended.output
    assert [line["database"] for line in ended.lines if line["action"] == "previous_dropped"] == [over]
    assert [warning for warning in ended.told.warnings if entered in warning]
    assert site.ours() == sorted([str(kept), of_other, unmarked, entered])
    told = ended.told.previous
    assert told is not None
    assert (told.name, told.state, told.reason) == (over, "dropped", None)
    assert told.server_identity == postgres_server.rows("postgres", IDENTITY)[0][0]


def test_expire_tells_of_one_database_whether_it_is_there_and_why(site: Site) -> None:
    target, other = site.target(), site.target()
    with site.swap(target, keep_previous_seconds=3600) as swap:
        swap.prepare()
        early = str(swap.switch().previous)
    entered, of_other = site.previous(target, "20200101000001"), site.previous(other, "20200101000000")
    unmarked = f"dg_previous_{target}_20200101000002"
    site.run("CREATE DATABASE {} OWNER {}", unmarked, site.user)
    reasons = {
        f"dg_previous_{target}_20200101000000": "absent None",
        early: "left By the server's clock",
        entered: "left Somebody is in it",
        of_other: f"left It was database '{other}' before, and not '{target}'",
        unmarked: "left Its comment no longer says",
    }

    with psycopg.connect(site.dsn(entered)):
        told = {
            name: site.pod.run(ExpirePlan(target=site.endpoint(target), previous=name)).told.previous
            for name in reasons
        }

    for name, reason in reasons.items():
        found = told[name]
        assert found is not None
        assert f"{found.state} {found.reason}".startswith(reason)


def test_a_check_of_the_datasource_drops_what_is_over_when_no_sync_comes_any_more(site: Site) -> None:
    target, other = site.target(), site.target()
    over, of_other = (site.previous(database, "20200101000000") for database in (target, other))

    ended = site.pod.run(DatasourceProbe(source=site.endpoint(target)))

    assert ended.status == 0, ended.output
    assert over not in site.ours()
    assert of_other in site.ours()
