"""A restore that cannot succeed is refused, or fails; either way the target is as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from .cluster import JSON
from .services import NAMESPACE
from .shop import Shop
from .tampering import edited_manifest

RESTORE: JSON = {"confirmationPhrase": "RESTAURAR", "dropExisting": True}


def error(shop: Shop, name: str) -> tuple[str, str]:
    run = shop.ended("RestoreRequest", name)
    assert run["status"]["phase"] == "Failed"
    found = run["status"]["error"]
    assert found["message"]
    assert found["remedy"]
    return found["code"], found["step"]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param("data.dump.zst", 'printf oops | dd of="$1" bs=1 seek=20000 conv=notrunc', id="bytes changed"),
        pytest.param("data.dump.zst", 'truncate -s -1000 "$1"', id="cut"),
        pytest.param("data.dump.zst", 'rm "$1"', id="gone"),
        pytest.param("manifest.json", 'truncate -s -100 "$1"', id="manifest cut"),
    ],
)
def test_a_damaged_backup_never_reaches_the_target(shop: Shop, file: str, damage: str) -> None:
    shop.backup("first")
    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 3 = 0")
    before = shop.fingerprint()
    data = next(path for path in shop.files() if path.endswith(file))
    shop.services.in_store("sh", "-c", damage, "damage", f"/data/{shop.bucket}/{data}")

    shop.start_restore("back", "first", dropExisting=True)

    assert error(shop, "back")[0] == "backup-corrupt"
    assert shop.fingerprint() == before


@dataclass(frozen=True)
class Refusal:
    """Why a restore is refused: its code, what of the request is so, and what has been done before."""

    code: str
    spec: JSON
    arrange: Callable[[Shop], None] = lambda shop: None


def too_small(shop: Shop) -> None:
    shop.cluster.apply(shop.datasource(storageCapacityBytes=1_000_000))


def unknown_version(shop: Shop) -> None:
    edited_manifest(shop, version=99)


def other_engine(shop: Shop) -> None:
    edited_manifest(shop, engine="mariadb")


def newer_server(shop: Shop) -> None:
    edited_manifest(shop, engine_version="99.1")


def other_extension(shop: Shop) -> None:
    edited_manifest(shop, fingerprint={"extensions": {"postgis": "3.5"}})


def other_location(shop: Shop) -> None:
    shop.cluster.apply(shop.bucket_location("second", prefix="second"))


REFUSALS = [
    Refusal("manifest-unknown", {}, unknown_version),
    Refusal("engine-mismatch", {}, other_engine),
    Refusal("server-too-old", {}, newer_server),
    Refusal("target-not-empty", {"dropExisting": False}),
    Refusal("target-too-small", {}, too_small),
    Refusal("target-mismatch", {"expectedTarget": {"serverIdentity": "1234567890"}}),
    Refusal("target-mismatch", {"expectedTarget": {"database": "another"}}),
    Refusal("prerequisite-missing", {}, other_extension),
    Refusal("no-copy-available", {"storageLocationRef": {"name": "second"}}, other_location),
]


def _name(refusal: Refusal) -> str:
    return f"{refusal.code} {next(iter(refusal.spec.get('expectedTarget', {})), '')}".strip()


@pytest.mark.parametrize("refusal", REFUSALS, ids=_name)
def test_a_restore_is_refused_before_anything_is_touched(shop: Shop, refusal: Refusal) -> None:
    shop.backup("first")
    refusal.arrange(shop)
    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 3 = 0")
    before = shop.fingerprint()

    shop.start_restore("back", "first", **{**RESTORE, **refusal.spec})

    code, step = error(shop, "back")
    assert code == refusal.code
    assert step != "load"
    assert shop.fingerprint() == before


def test_the_expected_target_is_restored(shop: Shop) -> None:
    before = shop.fingerprint()
    shop.backup("first")
    identity = shop.services.sql("postgres", "SELECT system_identifier FROM pg_control_system()").strip()
    shop.services.sql(shop.database, "DROP TABLE customers CASCADE")

    expected = {"serverIdentity": identity, "database": shop.database}
    shop.restore("back", "first", dropExisting=True, expectedTarget=expected)

    assert shop.fingerprint() == before


def test_a_missing_role_leaves_the_target_as_it_was(shop: Shop) -> None:
    role = f"owner_{shop.database}"
    shop.services.sql(shop.database, f"CREATE ROLE {role}", f"ALTER TABLE orders OWNER TO {role}")
    shop.backup("first")
    shop.services.sql(shop.database, f"REASSIGN OWNED BY {role} TO admin", f"DROP ROLE {role}")
    before = shop.fingerprint()

    shop.start_restore("back", "first", dropExisting=True)

    assert error(shop, "back")[0] == "prerequisite-missing"
    message = shop.ended("RestoreRequest", "back")["status"]["error"]["message"]
    assert role in message
    assert shop.fingerprint() == before


def test_what_is_no_completed_backup_is_refused(shop: Shop) -> None:
    shop.cluster.apply(shop.datasource("away", host=f"nowhere.{NAMESPACE}.svc"), shop.job("away", source="away"))
    shop.start_backup("failed", "away")
    shop.ended("BackupExecution", "failed")

    shop.start_restore("of-failed", "failed")
    shop.start_restore("of-nothing", "nothing")

    assert error(shop, "of-failed")[0] == "backup-not-completed"
    assert error(shop, "of-nothing")[0] == "not-found"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"confirmationPhrase": "restaurar"}, "confirmationPhrase must be RESTAURAR"),
        ({"confirmationPhrase": "VERIFICAR RESTORE"}, "confirmationPhrase must be RESTAURAR"),
        (
            {"confirmationPhrase": "RESTAURAR", "verificationMode": True},
            "with verificationMode confirmationPhrase must be VERIFICAR RESTORE",
        ),
    ],
)
def test_a_wrong_phrase_is_refused_by_the_api_server(shop: Shop, spec: JSON, said: str) -> None:
    request = shop.object("RestoreRequest", "back", {"backupExecutionRef": {"name": "first"}, **spec})

    assert said in shop.cluster.refused(request)
