"""The promises of a store, kept by each kind of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from dataguardian.domain.plan import S3Target, Target
from dataguardian.errors import NotFound, PermissionRefused, SpecInvalid, StorageUnavailable
from dataguardian.storage import Storage, opened

from .runs import Pod
from .services import S3Server, wait_until
from .valve import Valve


@pytest.fixture(params=["s3", "volume"])
def target(request: pytest.FixtureRequest, pod: Pod, s3_server: S3Server) -> Target:
    """Both kinds of storage."""
    return pod.volume() if request.param == "volume" else pod.s3(s3_server, s3_server.bucket())


@pytest.fixture
def store(target: Target) -> Storage:
    """An empty store."""
    return opened(target)


def pieces(size: int, failure: Exception | None = None) -> Iterator[bytes]:
    """So many bytes, and then perhaps a failure."""
    for _ in range(size // 500_000):
        yield os.urandom(500_000)
    yield os.urandom(size % 500_000)
    if failure is not None:
        raise failure


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """In this block root may do no more than others, who may reach the folder."""
    if os.geteuid() != 0:
        yield
        return
    modes = {path: path.stat().st_mode for path in folder.parents}
    closed = {path: mode for path, mode in modes.items() if mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in closed.items():
            path.chmod(mode)


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024 - 1, 8 * 1024 * 1024, 20_000_001])
def test_what_is_put_is_what_is_got(store: Storage, size: int) -> None:
    sent = list(pieces(size))

    stored = store.put("a/b", iter(sent))

    assert stored == store.size("a/b") == size
    assert b"".join(store.get("a/b")) == b"".join(sent)


@pytest.mark.parametrize("size", [0, 1000, 40_000_000])
def test_an_object_that_may_not_appear_is_not_stored(
    store: Storage, target: Target, s3_server: S3Server, size: int
) -> None:
    store.put("a/b", [b"before"])
    sent: list[int] = []

    def forbid() -> None:
        raise ZeroDivisionError

    def counted() -> Iterator[bytes]:
        for piece in pieces(size):
            yield piece
            sent.append(len(piece))

    with pytest.raises(ZeroDivisionError):
        store.put("a/b", counted(), forbid)

    assert sum(sent) == size
    assert b"".join(store.get("a/b")) == b"before"
    assert list(store.keys("")) == ["a/b"]


@pytest.mark.parametrize("size", [0, 1000, 40_000_000])
def test_an_object_whose_source_fails_is_not_stored_and_the_failure_passes_through(
    store: Storage, target: Target, s3_server: S3Server, size: int
) -> None:
    for _ in range(3):  # an abort that overtakes a part would leave an upload open, sometimes
        with pytest.raises(ZeroDivisionError):
            store.put("a/b", pieces(size, ZeroDivisionError()))

    assert list(store.keys("a")) == []
    if isinstance(target, S3Target):
        assert s3_server.admin.uploads(target.bucket) == []
    else:
        assert [path for path in Path(target.root).rglob("*") if path.is_file()] == []


def test_a_failed_put_leaves_the_object_that_was_there(store: Storage) -> None:
    store.put("a/b", [b"before"])

    with pytest.raises(ZeroDivisionError):
        store.put("a/b", pieces(20_000_000, ZeroDivisionError()))

    assert b"".join(store.get("a/b")) == b"before"


def test_keys_are_those_of_the_folder_below_the_locations_prefix(store: Storage) -> None:
    for key in ("a/one", "a/deep/two", "ab/three", "four"):
        store.put(key, [b"x"])

    assert sorted(store.keys("a")) == ["a/deep/two", "a/one"]
    assert list(store.keys("none")) == []


def test_a_listing_has_the_size_of_each_object(store: Storage) -> None:
    store.put("a/empty", [])
    store.put("a/deep/some", [b"xyz"])
    store.put("a/large", pieces(9_000_000))

    assert dict(store.sizes("a")) == {"a/empty": 0, "a/deep/some": 3, "a/large": 9_000_000}
    assert dict(store.sizes("none")) == {}


def test_a_folder_that_cannot_be_listed_is_refused_and_not_empty(pod: Pod) -> None:
    volume = pod.volume()
    opened(volume).put("a/deep/b", [b"x"])
    hidden = Path(volume.root) / "prod/a/deep"
    hidden.chmod(0)
    try:
        with without_rights(Path(volume.root)), pytest.raises(PermissionRefused):
            list(opened(volume).keys("a"))
    finally:
        hidden.chmod(0o755)


def test_deleting_is_final_and_a_missing_object_is_no_error(store: Storage) -> None:
    store.put("a/b", [b"x"])

    store.delete("a/b")
    store.delete("a/b")

    assert list(store.keys("a")) == []


def test_an_absent_object_is_not_found(store: Storage) -> None:
    with pytest.raises(NotFound, match="a/b"):
        list(store.get("a/b"))
    with pytest.raises(NotFound, match="a/b"):
        store.size("a/b")


def test_two_locations_of_one_bucket_do_not_see_each_other(pod: Pod, s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    one, other = (opened(pod.s3(s3_server, bucket, prefix=prefix)) for prefix in ("one", "other"))

    one.put("a/b", [b"x"])

    assert list(other.keys("a")) == []
    assert list(one.keys("a")) == ["a/b"]


def test_parts_that_a_killed_upload_left_are_found_and_removed_in_their_folder_only(
    pod: Pod, s3_server: S3Server
) -> None:
    bucket = s3_server.bucket()
    for key in ("prod/mine/data", "prod/other/data"):
        s3_server.admin.request("POST", f"/{bucket}/{key}", {"uploads": ""})
    store = opened(pod.s3(s3_server, bucket))

    removed = store.discard_partial("mine")

    assert removed == 1
    assert s3_server.admin.uploads(bucket) == ["prod/other/data"]


def test_a_file_that_a_killed_writer_left_is_removed_and_never_listed(pod: Pod) -> None:
    target = pod.volume()
    folder = Path(target.root) / "prod" / "mine"
    folder.mkdir(parents=True)
    (folder / ".data.partial").write_bytes(b"half")
    store = opened(target)

    assert list(store.keys("mine")) == []
    assert store.partial("") == {"mine/data"}
    assert store.discard_partial("mine") == 1
    assert not folder.exists()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd"])
def test_a_key_never_leaves_the_volumes_folder(pod: Pod, key: str) -> None:
    with pytest.raises(SpecInvalid):
        opened(pod.volume()).put(key, [b"x"])


def test_a_missing_bucket_is_not_found_by_every_call(pod: Pod, s3_server: S3Server) -> None:
    store = opened(pod.s3(s3_server, "no-such-bucket"))

    for call in (lambda: store.put("a", [b"x"]), lambda: list(store.keys("a")), lambda: list(store.get("a"))):
        with pytest.raises(NotFound, match=r"no-such-bucket.*spec.s3.bucket"):
            call()


def test_a_wrong_key_is_permission_refused_by_every_call(pod: Pod, s3_server: S3Server) -> None:
    target = pod.s3(s3_server, s3_server.bucket())
    pod.secret("secretAccessKey", "wrong")
    store = opened(target)

    for call in (lambda: store.put("a", [b"x"]), lambda: list(store.keys("a")), lambda: list(store.get("a"))):
        with pytest.raises(PermissionRefused) as refused:
            call()
        assert "wrong" not in str(refused.value)


def test_credentials_may_end_in_a_line_break(pod: Pod, s3_server: S3Server) -> None:
    target = pod.s3(s3_server, s3_server.bucket())
    pod.secret("secretAccessKey", s3_server.password + "\n")

    assert opened(target).put("a", [b"x"]) == 1


def test_a_download_that_is_cut_goes_on_where_it_was(pod: Pod, s3_server: S3Server) -> None:
    bucket, content = s3_server.bucket(), os.urandom(40_000_000)
    opened(pod.s3(s3_server, bucket)).put("a", [content])
    with Valve(s3_server.host, s3_server.port) as way:
        store = opened(pod.s3(s3_server, bucket, endpoint=f"http://{way.host}:{way.port}"))
        way.hold_after(10_000_000)

        read = bytearray()
        # The client reads ahead by no fixed amount, so somebody has to go on reading until nothing comes.
        reader = threading.Thread(target=lambda: read.extend(b"".join(store.get("a"))))
        reader.start()
        wait_until(lambda: way.holds, what="the download is held")
        way.cut()
        reader.join(60)

    assert read == content


def test_a_store_without_tls_is_never_asked_when_its_address_says_https(pod: Pod, s3_server: S3Server) -> None:
    target = pod.s3(s3_server, s3_server.bucket())
    secure = msgspec.structs.replace(target, endpoint=target.endpoint and target.endpoint.replace("http:", "https:"))

    with pytest.raises(StorageUnavailable):
        opened(secure).put("a", [b"x"])
