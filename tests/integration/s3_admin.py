"""A few signed S3 requests, so that tests see the store without the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_LOCK = b"""<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<ObjectLockEnabled>Enabled</ObjectLockEnabled>
<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>
</ObjectLockConfiguration>"""


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@dataclass(frozen=True)
class S3Admin:
    """One server and a key to it. Every method may raise urllib.error.HTTPError."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of the answer to a request signed by Signature Version 4."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        host = urllib.parse.urlsplit(self.endpoint).netloc
        line = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote)
        path = urllib.parse.quote(path)
        digest = hashlib.sha256(content).hexdigest()
        sent = {**(headers or {}), "host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
        signed = "".join(f"{name}:{value}\n" for name, value in sorted(sent.items()))
        names = ";".join(sorted(sent))
        canonical = "\n".join((method, path, line, signed, names, digest))
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = _mac(key, part)
        signature = _mac(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}").hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}"
        sent["Authorization"] = f"{credential}, SignedHeaders={names}, Signature={signature}"
        url = f"{self.endpoint}{path}" + (f"?{line}" if line else "")
        asked = urllib.request.Request(url, content or None, sent, method=method)  # noqa: S310 - the test's own server
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - the test's own server
            body: bytes = answer.read()
            return body

    def keys(self, bucket: str) -> list[str]:
        """All objects' keys."""
        return self._texts(self.request("GET", f"/{bucket}", {"list-type": "2"}), "Contents")

    def uploads(self, bucket: str) -> list[str]:
        """The keys of the multipart uploads that are open."""
        return self._texts(self.request("GET", f"/{bucket}", {"uploads": ""}), "Upload")

    def lock(self, bucket: str) -> None:
        """Let nobody delete what is stored from now on; the bucket was made with object lock."""
        md5 = base64.b64encode(hashlib.md5(_LOCK, usedforsecurity=False).digest()).decode()
        self.request("PUT", f"/{bucket}", {"object-lock": ""}, _LOCK, {"content-md5": md5})

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store one object."""
        self.request("PUT", f"/{bucket}/{key}", None, content)

    def delete(self, bucket: str, key: str) -> None:
        """Remove one object."""
        self.request("DELETE", f"/{bucket}/{key}")

    def get(self, bucket: str, key: str) -> bytes:
        """One object's bytes."""
        return self.request("GET", f"/{bucket}/{key}")

    @staticmethod
    def _texts(document: bytes, element: str) -> list[str]:
        found = ElementTree.fromstring(document).iterfind(f"{{*}}{element}/{{*}}Key")  # noqa: S314 - the test's own server
        return [key.text or "" for key in found]
