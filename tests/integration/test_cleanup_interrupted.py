"""A cleanup that died at any point, or that meets another one, is finished by the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dataguardian.runner import attended, retention
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run
from dataguardian.storage import Storage, opened

from .runs import Pod
from .shelves import Shelf, cleaned, cleanup_plan, folder_of, manifest, store, told


class Dies(BaseException):
    """The end of a process in the middle of its work."""


class Mortal:
    """A store whose user dies at the given change of it, before or after the change is made."""

    def __init__(self, storage: Storage, changes: int, *, after: bool) -> None:
        self._storage, self._left, self._after = storage, changes, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        """The marker, of all that retention does."""
        return int(self._change(lambda: self._storage.put(key, chunks, may_appear)))

    def delete(self, key: str) -> None:
        """All else."""
        self._change(lambda: self._storage.delete(key))

    def _change(self, change: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Dies
        result = change()
        if self._left < 0:
            raise Dies
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", range(4))  # marker, manifest, dump, marker
@pytest.mark.parametrize("kind", ["s3", "volume"])
def test_a_removal_that_died_at_any_point_is_finished_by_the_next_cleanup(
    pod: Pod, primary: Shelf, offsite: Shelf, kind: str, change: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = primary if kind == "s3" else offsite
    store([shelf], 1, 2)
    plan = cleanup_plan(shelf, max_backups=1)
    monkeypatch.setattr(attended, "opened", lambda target: Mortal(opened(target), change, after=after))
    with pytest.raises(Dies):
        retention.apply(plan, Run(Lines("cleanup")))

    ended = pod.run(plan)

    assert cleaned(ended).backups == 1
    assert cleaned(ended).warnings == []
    assert shelf.stored == {f"{folder_of(manifest(1))}/{name}" for name in ("data.dump.zst", "manifest.json")}
    finished_before = change == 3 and after
    expected = [] if finished_before else [("nightly-2-days-old", shelf.target.location)]
    assert told(ended, "backup_removed") == expected


def test_a_removal_that_had_not_begun_is_given_up_when_the_policy_keeps_the_backup_now(
    pod: Pod, primary: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    store([primary], 1, 2)
    before = primary.stored
    plan = cleanup_plan(primary, max_backups=1)
    monkeypatch.setattr(attended, "opened", lambda target: Mortal(opened(target), 1, after=False))
    with pytest.raises(Dies):
        retention.apply(plan, Run(Lines("cleanup")))
    assert primary.stored != before

    cleaned(pod.run(cleanup_plan(primary, max_backups=2)))

    assert primary.stored == before


class Emptied:
    """A store in which another cleanup finishes a removal between our listing and our look at its marker."""

    def __init__(self, storage: Storage, finish: Callable[[], None]) -> None:
        self._storage, self._finish = storage, finish

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get(self, key: str) -> Iterable[bytes]:
        """The marker's bytes."""
        if key.endswith("removing.json"):
            self._finish()
        return self._storage.get(key)


@pytest.mark.parametrize("kind", ["s3", "volume"])
def test_a_removal_that_another_cleanup_finishes_meanwhile_is_no_error(
    primary: Shelf, offsite: Shelf, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = primary if kind == "s3" else offsite
    store([shelf], 1)
    marker = f"{folder_of(manifest(2))}/removing.json"
    shelf.put(marker, b"{}")
    monkeypatch.setattr(attended, "opened", lambda target: Emptied(opened(target), lambda: shelf.delete(marker)))

    report = retention.apply(cleanup_plan(shelf, max_backups=1), Run(Lines("cleanup")))

    assert (report.backups, report.warnings) == (1, [])
