"""A bucket of an S3 server, through obstore."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import obstore
from obstore import exceptions
from obstore.store import S3Store

from ..domain.plan import S3Target
from ..errors import DataGuardianError, NotFound, PermissionRefused, StorageUnavailable
from ..secret_file import reader

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

    from .s3_uploads import Bucket

PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 2  # with the part being filled: 24 MiB, however slow the store is
CHUNK_BYTES = 1024 * 1024

# An unreachable store fails within a minute. A download may take hours, as long as bytes arrive.
_CLIENT: ClientConfig = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "1day"}
_RETRY: RetryConfig = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=25),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5), "base": 2},
}
_REFUSED = re.compile(
    r"<Code>(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|XAdminUserNotFound|InvalidToken|ExpiredToken)</Code>"
    r"|\b(401|403) (Unauthorized|Forbidden)"
)
_NO_BUCKET = re.compile(r"<Code>NoSuchBucket</Code>")
# A server that answers 404 with another code than these speaks of something else than an object.
_NO_OBJECT = re.compile(r"<Code>(NoSuchKey|NoSuchUpload)</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)


class S3:
    """Objects appear once they are whole; credentials are read from files when it is opened."""

    def __init__(self, target: S3Target) -> None:
        self._target = target
        self._prefix = f"{target.prefix.strip('/')}/" if target.prefix.strip("/") else ""
        read = reader("storage location", target.location, "spec.s3")
        self._keys = (read(target.access_key_id_file), read(target.secret_access_key_file))
        client: ClientConfig = {**_CLIENT, "allow_http": (target.endpoint or "").startswith("http://")}
        if target.ca_file:
            client["root_certificate"] = read(target.ca_file)
        self._store = S3Store(
            target.bucket,
            endpoint=target.endpoint,
            region=target.region,
            access_key_id=self._keys[0],
            secret_access_key=self._keys[1],
            client_options=client,
            retry_config=_RETRY,
        )

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        path = self._prefix + key
        rest = iter(chunks)
        head = _head(rest)
        size = sum(map(len, head))
        if size < PART_BYTES:  # all of it
            if may_appear is not None:
                may_appear()
            with self._errors(key):
                obstore.put(self._store, path, b"".join(head), use_multipart=False)
            return size

        def parts() -> Iterator[bytes]:
            nonlocal size
            while head:
                yield head.popleft()
            for chunk in rest:
                size += len(chunk)
                yield chunk
            if may_appear is not None:
                may_appear()

        try:
            with self._errors(key):
                obstore.put(self._store, path, parts(), chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
        except BaseException:
            # obstore aborts the upload while parts are on their way; one that arrives later opens it again.
            self._abort(path)
            raise
        return size

    def get(self, key: str) -> Iterator[bytes]:
        with self._errors(key):
            for chunk in obstore.get(self._store, self._prefix + key).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def size(self, key: str) -> int:
        with self._errors(key):
            return obstore.head(self._store, self._prefix + key)["size"]

    def keys(self, prefix: str) -> Iterator[str]:
        return (key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        with self._errors():
            for page in obstore.list(self._store, self._prefix + prefix):
                yield from ((item["path"].removeprefix(self._prefix), item["size"]) for item in page)

    def delete(self, key: str) -> None:
        with self._errors():
            try:
                obstore.delete(self._store, self._prefix + key)
            except FileNotFoundError as error:
                if not _NO_OBJECT.search(str(error)):
                    raise

    def partial(self, prefix: str) -> set[str]:
        from .s3_uploads import open_uploads

        return {key.removeprefix(self._prefix) for key in open_uploads(self._bucket(), f"{self._prefix}{prefix}/")}

    def discard_partial(self, prefix: str) -> int:
        return self._abort(f"{self._prefix}{prefix}/")

    def _abort(self, path: str) -> int:
        from .s3_uploads import abort_uploads

        return abort_uploads(self._bucket(), path)

    def _bucket(self) -> Bucket:
        from .s3_uploads import Bucket  # an HTTP client of 25 ms, seldom needed

        target = self._target
        return Bucket(
            name=target.bucket,
            endpoint=target.endpoint or f"https://s3.{target.region}.amazonaws.com",
            region=target.region,
            access_key_id=self._keys[0],
            secret_access_key=self._keys[1],
            ca_file=target.ca_file,
        )

    @contextmanager
    def _errors(self, key: str | None = None) -> Generator[None]:
        try:
            yield
        except (FileNotFoundError, exceptions.BaseError) as error:
            self._translate(error, key)

    def _translate(self, error: Exception, key: str | None) -> NoReturn:
        raise self._translated(str(error), isinstance(error, FileNotFoundError), key) from error

    def _translated(self, text: str, absent: bool, key: str | None) -> DataGuardianError:
        where = f"storage location {self._target.location!r}"
        said = _MESSAGE.search(text)
        # Without the client's own debug output, which is long and names internals.
        detail = (said[1] if said else text.partition("Debug source")[0].rpartition(" - ")[2]).strip()[:300]
        if _REFUSED.search(text):
            return PermissionRefused(
                f"The S3 server refuses the access to {where}: {detail}",
                remedy="Correct the access key in its Secret, or give it the rights to list, read, write and delete.",
            )
        if _NO_BUCKET.search(text):
            return NotFound(
                f"Bucket {self._target.bucket!r} of {where} does not exist.",
                remedy="Create it, or correct spec.s3.bucket.",
            )
        if absent and key is not None:
            return NotFound(
                f"The object {key!r} is not in {where}.", remedy="Restore another backup, or another copy of this one."
            )
        return StorageUnavailable(
            f"The S3 server of {where} does not serve: {detail}",
            remedy="Check spec.s3.endpoint and that the runner's pod can reach it; the run is tried again.",
        )


def _head(chunks: Iterator[bytes]) -> deque[bytes]:
    """The first chunks: one part's bytes or more, or all there are."""
    head: deque[bytes] = deque()
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            break
    return head
