"""How the processes of a test run share one cluster. A lock is one of an open file, so threads stand for processes."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from tests.cluster.sharing import shared, turn


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("DATAGUARDIAN_CLUSTER", "none")
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "this-run")


def test_the_first_process_prepares_the_cluster_and_the_last_one_takes_it_down() -> None:
    done: list[str] = []

    def use() -> ExitStack:
        stack = ExitStack()
        stack.enter_context(shared(lambda: done.append("prepared"), lambda: done.append("down")))
        return stack

    first, second = use(), use()
    first.close()
    third = use()
    assert done == ["prepared"]
    third.close()
    second.close()
    assert done == ["prepared", "down"]
    use().close()
    assert done == ["prepared", "down"] * 2


def test_a_cluster_that_another_run_left_behind_is_prepared_again(tmp_path: Path) -> None:
    done: list[str] = []
    (tmp_path / "dataguardian-cluster-none.prepared").write_text("another-run")

    with shared(lambda: done.append("prepared"), lambda: None):
        assert done == ["prepared"]


def test_what_wants_to_be_alone_waits_for_all_others_and_none_begins_meanwhile() -> None:
    alone_began, beside_began, go_on = Event(), Event(), Event()

    def be_alone() -> None:
        with turn(alone=True):
            alone_began.set()
            go_on.wait(10)

    def be_beside() -> None:
        with turn(alone=False):
            beside_began.set()

    with ThreadPoolExecutor() as threads:
        with turn(alone=False), turn(alone=False):
            lone = threads.submit(be_alone)
            assert not alone_began.wait(0.2)
        assert alone_began.wait(10)
        other = threads.submit(be_beside)
        assert not beside_began.wait(0.2)
        go_on.set()
        lone.result(10)
        other.result(10)
    assert beside_began.is_set()
