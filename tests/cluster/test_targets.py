"""A restore goes where it is told and nowhere else; names are names, whatever is in them."""

from __future__ import annotations

import json

from .services import Services, secret
from .shop import Shop

PASSWORD = r"""p:a\ss w'or"d $(id) %s"""
USER = """ro"le o'x = y"""


def test_a_restore_into_a_copy_leaves_the_source_alone(shop: Shop) -> None:
    copy = f"copy_{shop.database}"
    shop.new_database(copy, "template0")
    shop.cluster.apply(shop.datasource("copy", database=copy))
    before = shop.fingerprint()
    shop.backup("first")
    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 2 = 0")
    changed = shop.fingerprint()

    restore = shop.restore("back", "first", targetDatasourceRef={"name": "copy"})

    assert restore["status"]["datasource"] == "copy"
    assert shop.services.fingerprint(copy) == before
    assert shop.fingerprint() == changed


def test_a_backup_outlives_its_job_and_other_tables_outlive_a_restore(shop: Shop) -> None:
    before = shop.fingerprint()
    shop.backup("first")
    shop.cluster.kubectl("delete", "-n", shop.namespace, "backupjob/nightly")
    shop.services.sql(shop.database, "DROP TABLE customers CASCADE", "CREATE TABLE later AS SELECT 7 AS kept")

    shop.restore("back", "first", dropExisting=True)

    assert shop.services.sql(shop.database, "SELECT kept FROM later").strip() == "7"
    shop.services.sql(shop.database, "DROP TABLE later")
    assert shop.fingerprint() == before


def test_a_changed_password_is_used_by_the_next_run(shop: Shop) -> None:
    role = f"rotated_{shop.database}"
    shop.services.sql("postgres", f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'old'")
    shop.cluster.apply(secret(shop.namespace, "database", username=role, password="old"))
    shop.backup("first")

    shop.services.sql("postgres", f"ALTER ROLE {role} PASSWORD 'new'")
    shop.cluster.apply(secret(shop.namespace, "database", username=role, password="new"))

    shop.backup("second")


def test_hostile_names_and_passwords_are_nothing_but_names_and_passwords(shop: Shop) -> None:
    database = f"host=evil {shop.database} 'x' \\ $(id)"
    identifier = f"{USER} {shop.database}"
    make(shop.services, database, identifier, shop.database)
    before = fingerprint(shop.services, database)
    shop.cluster.apply(
        secret(shop.namespace, "odd", username=identifier, password=PASSWORD),
        shop.datasource(database=database, credentialsSecretRef={"name": "odd"}),
    )
    key = shop.backup("first")["status"]["copies"][0]["key"]
    shop.services.sql(connection(database), "DROP TABLE customers CASCADE")

    shop.restore("back", "first", dropExisting=True)

    assert fingerprint(shop.services, database) == before
    shop.services.sql("postgres", f"DROP DATABASE {quoted(database)}", f"CREATE DATABASE {quoted(database)}")
    by_hand(shop, key)
    assert fingerprint(shop.services, database) == before


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def connection(database: str) -> str:
    """A connection string: a bare name with a = in it would be read as one."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def make(services: Services, database: str, role: str, template: str) -> None:
    literal = "'" + PASSWORD.replace("'", "''") + "'"
    services.sql(
        "postgres",
        f"CREATE ROLE {quoted(role)} SUPERUSER LOGIN PASSWORD {literal}",
        f"CREATE DATABASE {quoted(database)} TEMPLATE {quoted(template)}",
    )


def fingerprint(services: Services, database: str) -> str:
    return services.fingerprint(connection(database))


def by_hand(shop: Shop, key: str) -> None:
    """Restore by what the manifest says, as it stands there."""
    folder = f"/data/{shop.bucket}/prod/{key.rpartition('/')[0]}"
    manifest = json.loads(shop.services.in_store("cat", f"{folder}/manifest.json"))
    copied = f"/tmp/{shop.database}"
    data = manifest["segments"][0]["name"]
    encoded = shop.services.in_store("base64", f"{folder}/{data}")
    save = f"mkdir {copied} && base64 -d > {copied}/{data}"
    shop.cluster.inside("services", "db-0", "bash", "-c", save, stdin=encoded)
    commands = " && ".join(manifest["restore_commands"])
    script = f"cd {copied} && export PGUSER=admin && set -o pipefail && {commands}"
    shop.cluster.inside("services", "db-0", "bash", "-c", script)
