"""A copy that is away, missing or corrupt is passed over, and the next one is restored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataguardian.domain.plan import FilesystemTarget, RestorePlan, RestoreSource, S3Target, Target

from .runs import FOLDER, Pod, backed_up, damage, folder_of, rewrite_manifest
from .services import PostgresServer, S3Server, free_port
from .shop import content, shop


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """What was backed up."""
    return shop(postgres_server)


@pytest.fixture
def first(pod: Pod, database: str) -> FilesystemTarget:
    """The copy that is tried first."""
    return backed_up(pod, database)


@pytest.fixture
def second(pod: Pod, first: FilesystemTarget) -> FilesystemTarget:
    """Another copy, of the same bytes."""
    target = pod.volume("second")
    shutil.copytree(folder_of(first), folder_of(target))
    return target


def plan(pod: Pod, database: str, *copies: Target, **changes: Any) -> RestorePlan:
    """A plan to restore one of these copies."""
    sources = [RestoreSource(target=copy, manifest_key=f"{FOLDER}/manifest.json") for copy in copies]
    return pod.restore_plan(database, copies[0], sources=sources, **changes)


def unpublish(copy: FilesystemTarget) -> None:
    """No manifest."""
    (folder_of(copy) / "manifest.json").unlink()


def garble(copy: FilesystemTarget) -> None:
    """A manifest that nobody can read."""
    (folder_of(copy) / "manifest.json").write_text("{")


def outdate(copy: FilesystemTarget) -> None:
    """A manifest of another release."""
    rewrite_manifest(copy, lambda manifest: manifest.update(version=2))


def shorten(copy: FilesystemTarget) -> None:
    """A dump that lacks its end."""
    path = folder_of(copy) / "data.dump.zst"
    path.write_bytes(path.read_bytes()[:-1])


def flip(copy: FilesystemTarget) -> None:
    """A dump that turns out corrupt while it is loaded."""
    damage(folder_of(copy) / "data.dump.zst")


@pytest.mark.parametrize("spoil", [unpublish, garble, outdate, shorten, flip])
@pytest.mark.parametrize("changes", [{}, {"atomic": False}, {"verify": True}])
def test_a_copy_that_is_missing_or_corrupt_is_passed_over(
    pod: Pod,
    postgres_server: PostgresServer,
    database: str,
    first: FilesystemTarget,
    second: FilesystemTarget,
    spoil: Callable[[FilesystemTarget], None],
    changes: dict[str, bool],
) -> None:
    spoil(first)
    target = postgres_server.database()

    ended = pod.run(plan(pod, target, first, second, **changes))

    assert ended.status == 0, ended.output
    assert ended.told.read_from == "second"
    assert ["the next one is tried" in warning for warning in ended.told.warnings] == [True]
    if "verify" not in changes:
        assert content(postgres_server, target) == content(postgres_server, database)


def test_a_location_that_is_away_is_passed_over(
    pod: Pod, s3_server: S3Server, postgres_server: PostgresServer, first: FilesystemTarget
) -> None:
    away = S3Target(
        location="away",
        bucket="backups",
        endpoint=f"http://127.0.0.1:{free_port()}",
        region="us-east-1",
        access_key_id_file=pod.secret("key", "k"),
        secret_access_key_file=pod.secret("secret", "s"),
    )

    ended = pod.run(plan(pod, postgres_server.database(), away, first))

    assert ended.status == 0, ended.output
    assert ended.told.read_from == "primary"
    assert [line["location"] for line in ended.lines if line["action"] == "copy_passed_over"] == ["away"]


def test_what_a_corrupt_copy_would_have_replaced_is_replaced_by_the_next_one(
    pod: Pod, postgres_server: PostgresServer, database: str, first: FilesystemTarget, second: FilesystemTarget
) -> None:
    flip(first)
    before = content(postgres_server, database)
    postgres_server.sql(database, "DELETE FROM orders")

    ended = pod.run(plan(pod, database, first, second, drop_existing=True, atomic=False))

    assert ended.status == 0, ended.output
    assert content(postgres_server, database) == before


def test_when_no_copy_is_good_each_is_named_with_its_reason(
    pod: Pod, postgres_server: PostgresServer, first: FilesystemTarget, second: FilesystemTarget, tmp_path: Path
) -> None:
    unpublish(first)
    flip(second)
    target = postgres_server.database()

    ended = pod.run(plan(pod, target, first, second))

    assert ended.failure == (65, "backup-corrupt", "load")
    assert "'primary': not-found" in ended.message
    assert "'second': backup-corrupt" in ended.message
    assert content(postgres_server, target)["definitions"] == []


def test_what_the_target_refuses_is_not_tried_with_another_copy(
    pod: Pod, postgres_server: PostgresServer, database: str, first: FilesystemTarget, second: FilesystemTarget
) -> None:
    ended = pod.run(plan(pod, database, first, second))

    assert ended.failure == (64, "target-not-empty", "fetch")
    assert ended.told.warnings == []
