"""Two copies on volumes, one of which hangs in some call until a test wakes it up: the other one is made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataguardian.domain import manifest as manifests
from dataguardian.errors import DataGuardianError, StorageUnavailable
from dataguardian.runner import watched
from dataguardian.runner.copies import Copies
from dataguardian.runner.lines import Lines
from dataguardian.runner.location import Copy
from dataguardian.runner.run import Run
from dataguardian.runner.watched import Watched
from dataguardian.storage import Storage, opened

from .runs import Pod, files_in
from .services import wait_until
from .shelves import CONTENT, folder_of, manifest

MANIFEST = manifest(1)
FOLDER = folder_of(MANIFEST)
DUMP = f"{FOLDER}/data.dump.zst"
FILES = [DUMP, f"{FOLDER}/manifest.json"]


class Hanging:
    """A real volume, but for a call that does not return: nothing on this machine hangs in each kind of them."""

    def __init__(self, storage: Storage, call: str) -> None:
        self._storage, self._call = storage, call
        self.hangs, self.awake, self.returned = threading.Event(), threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        """Hangs when all is written, as in a flush."""

        def flush() -> None:
            self._hang(f"put {key.rpartition('/')[2]}")
            assert may_appear is not None
            may_appear()

        try:
            return self._storage.put(key, chunks, flush)
        finally:
            if self.awake.is_set():
                self.returned.set()

    def get(self, key: str) -> Iterator[bytes]:
        """Hangs before its first chunk."""
        self._hang("get")
        yield from self._storage.get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Hangs before the first key."""
        self._hang("keys")
        yield from self._storage.keys(prefix)

    def delete(self, key: str) -> None:
        """Hangs before it deletes."""
        self._hang("delete")
        self._storage.delete(key)

    def _hang(self, call: str) -> None:
        if call == self._call:
            self.hangs.set()
            assert self.awake.wait(30)


class Pair:
    """A copy on a volume that serves and one on a volume that hangs, made by one run."""

    def __init__(self, pod: Pod, call: str) -> None:
        self.good, self.bad = pod.volume("good"), pod.volume("bad")
        for volume in (self.good, self.bad):  # what an earlier try has left
            opened(volume).put(f"{FOLDER}/data.dump.zst.00001", [b"half"])
        self.hanging = Hanging(opened(self.bad), call)
        self.members = [Copy(self.good), Copy(self.bad)]
        self.members[1].storage = Watched(self.hanging, self.members[1].watch)

    def make(self, need: int) -> None:
        """A backup from its first step to its last."""
        copies = Copies(Run(Lines("backup")), self.members, need)
        copies.look(FOLDER)
        copies.clear()
        copies.put("data.dump.zst", iter([CONTENT]))
        copies.verify(MANIFEST, "ReadBack")
        copies.publish(MANIFEST, manifests.encode(MANIFEST))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second."""
    monkeypatch.setattr(watched, "STALL_SECONDS", 0.5)


@pytest.fixture
def pair(request: pytest.FixtureRequest, pod: Pod) -> Iterator[Pair]:
    """Such a pair."""
    made = Pair(pod, request.param)
    yield made
    made.hanging.awake.set()


EARLY = ["keys", "delete", "put data.dump.zst"]
CALLS = [*EARLY, "get", "put manifest.json"]


@pytest.mark.parametrize("pair", CALLS, indirect=True)
def test_a_copy_that_hangs_in_any_call_is_given_up_and_the_other_one_is_a_backup(pair: Pair) -> None:
    pair.make(need=1)

    good, bad = (copy.told(FOLDER) for copy in pair.members)
    assert good is not None
    assert good.stored
    assert files_in(pair.good) == FILES
    assert bad is not None
    assert not bad.stored
    assert (bad.reason or "").startswith("storage-unavailable: Storage location 'bad' has hung")


@pytest.mark.parametrize("pair", [*EARLY, "get"], indirect=True)
def test_a_run_that_needs_the_copy_that_hangs_fails_as_storage_unavailable(pair: Pair) -> None:
    with pytest.raises(StorageUnavailable, match="'bad' has hung"):
        pair.make(need=2)

    assert f"{FOLDER}/manifest.json" not in files_in(pair.good)


@pytest.mark.parametrize("pair", ["put manifest.json"], indirect=True)
def test_a_backup_stays_complete_though_the_manifest_of_the_copy_that_it_needs_hangs(pair: Pair) -> None:
    pair.make(need=2)

    assert files_in(pair.good) == FILES


@pytest.mark.parametrize("pair", ["put data.dump.zst", "put manifest.json"], indirect=True)
def test_a_volume_that_wakes_up_after_it_was_given_up_stores_nothing(pair: Pair) -> None:
    pair.make(need=1)
    before = files_in(pair.bad)

    pair.hanging.awake.set()

    wait_until(pair.hanging.returned.is_set, what="its thread has ended")
    (half,) = set(before) - set(files_in(pair.bad))
    assert half.endswith(".partial")
    assert set(files_in(pair.bad)) < set(before)


@pytest.mark.parametrize("pair", CALLS, indirect=True)
def test_a_copy_that_was_given_up_refuses_at_once(pair: Pair) -> None:
    pair.make(need=1)
    storage = pair.members[1].storage
    pair.hanging.awake.set()

    calls: list[Callable[[], object]] = [
        lambda: storage.put("a/b", [b"x"]),
        lambda: list(storage.get(DUMP)),
        lambda: storage.size(DUMP),
        lambda: list(storage.keys(FOLDER)),
        lambda: list(storage.sizes(FOLDER)),
        lambda: storage.delete(DUMP),
        lambda: storage.discard_partial(FOLDER),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="has hung"):
            call()
    assert "a/b" not in files_in(pair.bad)


@pytest.mark.parametrize("pair", ["never"], indirect=True)
def test_a_source_that_is_slow_is_no_volume_that_hangs(pair: Pair) -> None:
    copies = Copies(Run(Lines("backup")), pair.members, 2)
    copies.look(FOLDER)
    gate = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first"
        gate.wait(4 * watched.STALL_SECONDS)
        yield b"last"

    assert copies.put("data.dump.zst", slow()) == len(b"firstlast")
    assert [copy.failure for copy in pair.members] == [None, None]


@pytest.mark.parametrize("pair", ["never"], indirect=True)
def test_a_manifest_that_was_published_is_never_deleted(pair: Pair) -> None:
    run = Run(Lines("copy"))
    copies = Copies(run, pair.members)
    copies.look(FOLDER)
    copies.clear()
    copies.put("data.dump.zst", iter([CONTENT]))
    copies.verify(MANIFEST, "ReadBack")
    (Path(pair.bad.root) / "prod" / FOLDER / ".manifest.json.partial").mkdir()

    copies.publish(MANIFEST, manifests.encode(MANIFEST))
    run.cancel()
    with pytest.raises(DataGuardianError):
        copies.discard()

    assert files_in(pair.good) == FILES
    assert files_in(pair.bad) == [DUMP]
