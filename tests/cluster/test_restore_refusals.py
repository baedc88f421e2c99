"""A restore that cannot succeed fails, and the target is as it was."""

from __future__ import annotations

import pytest

from .services import NAMESPACE
from .shop import Shop


def error(shop: Shop, name: str) -> tuple[str, str]:
    found = shop.ended("RestoreRequest", name)["status"]["error"]
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


def test_a_full_target_is_refused_without_drop_existing(shop: Shop) -> None:
    shop.backup("first")
    before = shop.fingerprint()

    shop.start_restore("back", "first")

    assert error(shop, "back") == ("target-not-empty", "fetch")
    assert shop.fingerprint() == before


def test_a_missing_role_leaves_the_target_as_it_was(shop: Shop) -> None:
    role = f"owner_{shop.database}"
    shop.services.sql(shop.database, f"CREATE ROLE {role}", f"ALTER TABLE orders OWNER TO {role}")
    shop.backup("first")
    shop.services.sql(shop.database, f"REASSIGN OWNED BY {role} TO admin", f"DROP ROLE {role}")
    before = shop.fingerprint()

    shop.start_restore("back", "first", dropExisting=True)

    assert error(shop, "back") == ("load-failed", "load")
    assert shop.fingerprint() == before


def test_what_is_no_completed_backup_is_refused(shop: Shop) -> None:
    shop.cluster.apply(shop.datasource("away", host=f"nowhere.{NAMESPACE}.svc"), shop.job("away", source="away"))
    shop.start_backup("failed", "away")
    shop.ended("BackupExecution", "failed")

    shop.start_restore("of-failed", "failed")
    shop.start_restore("of-nothing", "nothing")

    assert error(shop, "of-failed")[0] == "spec-invalid"
    assert error(shop, "of-nothing")[0] == "not-found"
