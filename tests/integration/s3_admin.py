"""A few signed S3 requests, so that tests see the store without the code under test."""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_EMPTY = hashlib.sha256(b"").hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@dataclass(frozen=True)
class S3Admin:
    """One server and a key to it. Every method may raise urllib.error.HTTPError."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str

    def request(self, method: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The body of the answer to a request signed by Signature Version 4."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        host = urllib.parse.urlsplit(self.endpoint).netloc
        line = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote)
        path = urllib.parse.quote(path)
        signed = f"host:{host}\nx-amz-content-sha256:{_EMPTY}\nx-amz-date:{moment}\n"
        names = "host;x-amz-content-sha256;x-amz-date"
        canonical = "\n".join((method, path, line, signed, names, _EMPTY))
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = _mac(key, part)
        signature = _mac(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}"
        headers = {
            "x-amz-date": moment,
            "x-amz-content-sha256": _EMPTY,
            "Authorization": f"{credential}, SignedHeaders={names}, Signature={signature}",
        }
        url = f"{self.endpoint}{path}" + (f"?{line}" if line else "")
        asked = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - the test's own server
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - the test's own server
            content: bytes = answer.read()
            return content

    def keys(self, bucket: str) -> list[str]:
        """All objects' keys."""
        return self._texts(self.request("GET", f"/{bucket}", {"list-type": "2"}), "Contents")

    def uploads(self, bucket: str) -> list[str]:
        """The keys of the multipart uploads that are open."""
        return self._texts(self.request("GET", f"/{bucket}", {"uploads": ""}), "Upload")

    def get(self, bucket: str, key: str) -> bytes:
        """One object's bytes."""
        return self.request("GET", f"/{bucket}/{key}")

    @staticmethod
    def _texts(document: bytes, element: str) -> list[str]:
        found = ElementTree.fromstring(document).iterfind(f"{{*}}{element}/{{*}}Key")  # noqa: S314 - the test's own server
        return [key.text or "" for key in found]
