"""A DatabaseSyncJob makes its target a copy of its source: all of it, by a schedule or at once."""

from __future__ import annotations

from .cluster import JSON, eventually
from .permissions import account
from .shop import Shop
from .staging import Staging


def scheduled(shop: Shop) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "databasesyncexecutions")
    return [run for run in runs if run["spec"].get("trigger") == "Schedule"]


def test_a_scheduled_sync_between_two_servers_makes_their_tables_equal(shop: Shop, staging: Staging) -> None:
    staging.sql("CREATE TABLE ours AS SELECT 1 AS number")
    shop.cluster.apply(staging.job(schedule="* * * * *"))

    run = eventually("the first slot", lambda: scheduled(shop))[0]
    shop.cluster.apply(staging.job(schedule="* * * * *", suspend=True))
    name, slot = run["metadata"]["name"], run["spec"]["scheduledTime"]
    status = staging.ended(name)

    assert status["phase"] == "Completed", status
    assert name == "refresh-" + slot.translate(str.maketrans("", "", "-:TZ"))[:12]
    assert staging.fingerprint() == shop.fingerprint()
    assert (status["datasource"], status["source"], status["tables"]) == ("staging", "orders", 2)
    assert (status["rows"], status["removed"]) == (22000, 1)
    job = eventually("the job tells of it", lambda: told(shop, name))
    assert job["lastScheduleTime"] == slot
    assert job["lastSuccessfulTime"]
    logged = f"""
        SELECT job, trigger, status, tables, rows,
               EXISTS (SELECT FROM jsonb_array_elements(metadata -> 'execution_logs') AS line
                        WHERE line ->> 'message' LIKE '[SYNC]%public.ours%')
          FROM database_sync_executions WHERE id = '{run["metadata"]["uid"]}'"""
    row = ["refresh", "schedule", "completed", "2", "22000", "t"]
    eventually("the row has its log", lambda: shop.ask(logged) == [row])
    mirrored = f"SELECT source, target, suspended FROM database_sync_jobs WHERE namespace = '{shop.namespace}'"
    eventually("the job is mirrored", lambda: shop.ask(mirrored) == [["orders", "staging", "t"]])

    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 2 = 0", "CREATE TABLE later AS SELECT 2 AS number")
    staging.sync("again")

    assert staging.fingerprint() == shop.fingerprint()


def told(shop: Shop, name: str) -> JSON | None:
    job = shop.cluster.get(shop.namespace, "databasesyncjob", "refresh") or {}
    status = job.get("status", {})
    return dict(status) if status.get("lastExecution", {}).get("name") == name else None


def test_a_swap_keeps_the_previous_database_for_as_long_as_asked(shop: Shop, staging: Staging) -> None:
    staging.sql("CREATE TABLE ours AS SELECT 1 AS number")
    staging.sql(f"ALTER DATABASE {staging.database} SET work_mem = '5MB'")
    shop.cluster.apply(staging.job(strategy="Swap", keepPreviousSeconds=5))

    status = staging.sync("first")

    assert staging.fingerprint() == shop.fingerprint()
    assert staging.sql("SHOW work_mem").strip() == "5MB"
    assert status["switchMilliseconds"] < 1000
    previous = status["previousDatabase"]["name"]
    there = f"SELECT 1 FROM pg_database WHERE datname = '{previous}'"
    eventually("the previous database is dropped", lambda: not staging.sql(there, database="postgres").strip())

    def dropped() -> bool:
        run = shop.cluster.get(shop.namespace, "databasesyncexecution", "first") or {}
        return "droppedTime" in run["status"]["previousDatabase"]

    eventually("the run says so", dropped)
    left = "SELECT datname FROM pg_database WHERE datname ~ '^dg_'"
    assert staging.sql(left, database="postgres") == ""


def test_the_dump_of_a_sync_is_kept_as_a_backup_that_can_be_restored(shop: Shop, staging: Staging) -> None:
    shop.cluster.apply(staging.job(storageLocationRef={"name": "primary"}))

    status = staging.sync("first")

    entry = status["backupExecution"]
    kept = eventually("the backup is listed", lambda: completed_backup(shop, entry))
    assert kept["spec"]["trigger"] == "Sync"
    assert kept["spec"]["backupJobRef"]["name"] == "nightly"
    assert kept["status"]["datasource"] == "orders"
    assert shop.copies(entry) == ["Stored"]
    linked = f"""SELECT b.trigger, b.status FROM database_sync_executions AS s
                   JOIN backup_executions AS b ON b.id = s.backup_execution_id WHERE s.namespace = '{shop.namespace}'"""
    eventually("the rows are linked", lambda: shop.ask(linked) == [["sync", "completed"]])
    before = shop.fingerprint()
    shop.services.sql(shop.database, "DELETE FROM orders")
    shop.restore("back", entry, dropExisting=True)
    assert shop.fingerprint() == before


def completed_backup(shop: Shop, name: str) -> JSON | None:
    found = shop.cluster.get(shop.namespace, "backupexecution", name)
    return found if found and found.get("status", {}).get("phase") == "Completed" else None


def test_operators_run_a_sync_and_only_admins_say_what_it_replaces(shop: Shop, staging: Staging) -> None:
    operator, admin = account(shop, "operator"), account(shop, "admin")
    run = shop.object("DatabaseSyncExecution", "first", {"databaseSyncJobRef": {"name": "refresh"}})

    said = shop.cluster.refused(staging.job(), user=operator)
    shop.cluster.create(staging.job(), user=admin)
    shop.cluster.create(run, user=operator)

    assert "databasesyncjobs" in said
    assert staging.ended("first")["phase"] == "Completed"
