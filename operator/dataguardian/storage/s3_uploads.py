"""Aborting multipart uploads, which obstore has no call for: three S3 requests, signed by Signature Version 4."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

import msgspec

TIMEOUT_SECONDS = 5
# S3 lets a part that was on its way reach an upload that is aborted, so ask until none is left, this long.
PATIENCE_SECONDS = 5
PAUSE_SECONDS = 0.1
_NO_CONTENT = hashlib.sha256(b"").hexdigest()


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket and a key to it."""

    name: str
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    ca_file: str | None

    def __repr__(self) -> str:
        return f"Bucket({self.name!r})"


def abort_uploads(bucket: Bucket, prefix: str) -> int:
    """Abort every open upload of keys with this prefix; return how many there were.

    Best effort: when the server does not answer or refuses, whatever is open stays, for a later call to find.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    aborted: set[str] = set()
    quiet = 0
    try:
        while quiet < 2 and time.monotonic() < deadline:
            uploads = _open_uploads(bucket, prefix)
            for key, upload in uploads:
                _request(bucket, "DELETE", key, {"uploadId": upload})
                aborted.add(upload)
            # Only an upload that was seen can come back.
            quiet = 0 if uploads else quiet + (1 if aborted else 2)
            if quiet < 2:
                time.sleep(PAUSE_SECONDS)
    except (OSError, http.client.HTTPException, ElementTree.ParseError):
        return len(aborted)
    return len(aborted)


def open_uploads(bucket: Bucket, prefix: str) -> list[str]:
    """The keys of the open uploads with this prefix; none when the server does not answer or refuses."""
    try:
        return [key for key, _ in _open_uploads(bucket, prefix)]
    except (OSError, http.client.HTTPException, ElementTree.ParseError):
        return []


def _open_uploads(bucket: Bucket, prefix: str) -> list[tuple[str, str]]:
    body = _request(bucket, "GET", "", {"uploads": "", "prefix": prefix})
    found = ElementTree.fromstring(body).iterfind("{*}Upload")  # noqa: S314 - expat of Python 3.11 has limits
    return [(upload.findtext("{*}Key", ""), upload.findtext("{*}UploadId", "")) for upload in found]


def _request(bucket: Bucket, method: str, key: str, query: Mapping[str, str]) -> bytes:
    address = urlsplit(bucket.endpoint)
    path = quote(f"{address.path.rstrip('/')}/{bucket.name}" + (f"/{key}" if key else ""))
    line = urlencode(sorted(query.items()), quote_via=quote)
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context()
        if bucket.ca_file:
            context.load_verify_locations(bucket.ca_file)
        connection = http.client.HTTPSConnection(address.netloc, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(address.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, f"{path}?{line}", headers=_signed(bucket, method, address.netloc, path, line))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status >= 400 and answer.status != 404:
        raise http.client.HTTPException(f"{answer.status} {answer.reason}")
    return body if answer.status < 400 else b"<none/>"


def _signed(bucket: Bucket, method: str, host: str, path: str, query: str) -> dict[str, str]:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": _NO_CONTENT, "x-amz-date": moment}
    names = ";".join(headers)
    canonical = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = "\n".join((method, path, query, canonical, names, _NO_CONTENT))
    scope = f"{moment[:8]}/{bucket.region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{bucket.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{bucket.access_key_id}/{scope}"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "Authorization": authorization}
