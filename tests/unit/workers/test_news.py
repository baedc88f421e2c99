"""When all objects of a kind are looked at again."""

from typing import Any, cast

import pytest

from dataguardian.resources.backup import BACKUP_JOB, BackupJob
from dataguardian.resources.datasource import KIND as DATASOURCE
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.news import News
from tests.unit.objects import backup_job, datasource


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(cast(Any, None))  # it asks no API server for what it was given


def version(number: int) -> BackupJob:
    body = backup_job().wire()
    return BackupJob.read({**body, "metadata": {**body["metadata"], "resourceVersion": str(number)}})


def test_a_change_is_news_until_a_look_was_finished(catalog: Catalog) -> None:
    news = News(catalog, BACKUP_JOB)
    assert news.is_there()
    news.is_taken()

    catalog.put(BACKUP_JOB, version(1))

    assert news.is_there()
    assert news.is_there()
    news.is_taken()
    assert not news.is_there()


def test_a_change_during_a_look_is_news_afterwards(catalog: Catalog) -> None:
    news = News(catalog, BACKUP_JOB)
    news.is_there()
    catalog.put(BACKUP_JOB, version(1))

    news.is_taken()

    assert news.is_there()


def test_a_version_that_is_seen_again_and_another_kind_are_no_news(catalog: Catalog) -> None:
    catalog.put(BACKUP_JOB, version(1))
    news = News(catalog, BACKUP_JOB)
    news.is_there()
    news.is_taken()

    catalog.put(BACKUP_JOB, version(1))
    catalog.put(DATASOURCE, datasource())
    assert not news.is_there()

    catalog.drop(BACKUP_JOB, version(1))
    assert news.is_there()
