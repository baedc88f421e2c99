"""What is missing shows as a condition with its remedy, and heals by itself once it is there."""

from __future__ import annotations

from .services import DATABASE_PASSWORD, S3_KEY_ID, S3_SECRET_KEY, secret
from .shop import Shop


def test_a_missing_secret_and_a_missing_bucket_show_and_heal(bare_shop: Shop) -> None:
    shop = bare_shop
    shop.cluster.apply(
        secret(shop.namespace, "s3", accessKeyId=S3_KEY_ID, secretAccessKey=S3_SECRET_KEY),
        shop.datasource(),
        shop.bucket_location(bucket=f"later-{shop.bucket}"),
    )
    missing = shop.until_condition("storagelocation", "primary", "Ready", "False", "NotFound")
    assert f"later-{shop.bucket}" in missing["message"]
    shop.services.in_store("mkdir", f"/data/later-{shop.bucket}")
    told = shop.until_condition("datasource", "orders", "Ready", "False", "NotFound")
    assert "username" in told["message"]
    assert "Create the Secret" in told["message"]

    shop.cluster.apply(secret(shop.namespace, "database", username="admin", password=DATABASE_PASSWORD))

    shop.until_condition("datasource", "orders", "Ready", "True", "LoggedIn")
    found = shop.cluster.get(shop.namespace, "datasource", "orders")
    assert found is not None
    assert found["status"]["health"] == "healthy"
    assert found["status"]["serverVersion"].startswith("17")
    shop.until_condition("storagelocation", "primary", "Ready", "True", "Checked")


def test_a_run_waits_for_what_it_names_and_starts_once_it_is_there(bare_shop: Shop) -> None:
    shop = bare_shop
    shop.credentials()
    shop.start_backup("first")
    shop.until_condition("backupexecution", "first", "Ready", "False", "BackupJobNotFound")
    shop.cluster.apply(shop.job())
    shop.until_condition("backupexecution", "first", "Ready", "False", "DatasourceNotFound")
    shop.until_condition("backupjob", "nightly", "Stalled", "True", "DatasourceNotFound")
    shop.cluster.apply(shop.datasource())
    shop.until_condition("backupexecution", "first", "Ready", "False", "StorageLocationNotFound")
    shop.until_condition("backupjob", "nightly", "Stalled", "True", "StorageLocationNotFound")

    shop.cluster.apply(shop.bucket_location())

    assert shop.ended("BackupExecution", "first")["status"]["phase"] == "Completed"
    shop.until_condition("backupjob", "nightly", "Stalled", "False")


def test_a_missing_claim_shows_with_kubernetes_words(bare_shop: Shop) -> None:
    bare_shop.apply("StorageLocation", "local", {"filesystem": {"claimName": "absent"}})

    told = bare_shop.until_condition("storagelocation", "local", "Ready", "False", "NotStarted")

    assert '"absent" not found' in told["message"]


def test_a_read_only_location_takes_no_backup_and_is_never_written_to(shop: Shop) -> None:
    location = shop.bucket_location()
    location["spec"]["accessMode"] = "ReadOnly"
    shop.cluster.apply(location)

    shop.start_backup("first")

    shop.until_condition("backupexecution", "first", "Ready", "False", "StorageLocationReadOnly")
    shop.until_condition("storagelocation", "primary", "Ready", "True")
    assert shop.files() == []
