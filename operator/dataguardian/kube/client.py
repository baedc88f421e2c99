"""The calls that DataGuardian makes of the API server: JSON in, JSON out.

``kubernetes.aio`` does the connection (TLS, tokens and their renewal). Its typed models are passed by: they take
several times the memory of the objects, and custom resources have models of their own here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client
from prometheus_client import Histogram

from ..domain.token_bucket import TokenBucket
from ..errors import ConfigInvalid, PermissionRefused, Unavailable
from ..resources.common import GROUP, VERSION, Kind, ObjectMeta

JSON = dict[str, Any]
CALL_TIMEOUT_S = 30.0
PAGE = 500
EVENTS = 100  # about one object
# The server ends a watch after this many seconds; silence for longer means that the connection is dead.
WATCH_SECONDS = 240
MERGE_PATCH = "application/merge-patch+json"
# A server that has too much to do refuses a request unread, and says for how long to leave it alone.
TOO_MANY, TRIES, PAUSE_LIMIT_S = 429, 4, 30.0

REQUESTS = Histogram(
    "dataguardian_kubernetes_request_duration_seconds",
    "How long the API server took to answer the requests of this process, by verb and status; of a watch to begin it.",
    ("verb", "status"),
    buckets=(0.01, 0.1, 1, 10),
)
UNANSWERED = "none"


class KubernetesUnavailable(Unavailable):
    """The API server did not answer."""

    code = "kubernetes-unavailable"


class ApiRefused(PermissionRefused):
    """The API server refused a request: missing rights, or an object that policy or quota does not allow.

    ``status`` is that of HTTP, ``said`` the server's own words, ``causes`` its reasons, ``delegated`` whether it was
    asked as somebody else.
    """

    code = "kubernetes-refused"

    def __init__(
        self,
        what: str,
        *,
        remedy: str,
        status: int = 403,
        said: str = "",
        causes: Collection[str] = (),
        delegated: bool = False,
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.said = said
        self.causes = causes
        self.delegated = delegated


class Absent(Exception):
    """404: the object does not exist."""


class Conflict(Exception):
    """409: the object exists already, or has changed since it was read."""


class Expired(Exception):
    """410: a watch must start again from a new list."""


def objects_path(kind: Kind[Any], namespace: str | None = None, name: str | None = None) -> str:
    """The path of a kind's objects, in all namespaces when none is named."""
    return _path(f"/apis/{GROUP}/{VERSION}", kind.plural, namespace, name)


def jobs_path(namespace: str | None = None, name: str | None = None) -> str:
    """The path of Kubernetes Jobs."""
    return _path("/apis/batch/v1", "jobs", namespace, name)


def pods_path(namespace: str | None = None, name: str | None = None) -> str:
    """The path of pods."""
    return _path("/api/v1", "pods", namespace, name)


def _path(base: str, plural: str, namespace: str | None, name: str | None) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{scope}/{plural}" + (f"/{name}" if name else "")


class Kubernetes:
    """The API server. Every call may raise KubernetesUnavailable, ApiRefused, Absent or Conflict.

    A write also raises what the fence of its connection raises. Each request takes a token of the bucket, if there is
    one; a watch takes one for its start.
    """

    def __init__(self, api: client.ApiClient, *, bucket: TokenBucket | None = None, token: str | None = None) -> None:
        self._api = api
        self._bucket = bucket
        self._token = token

    def with_token(self, token: str) -> Kubernetes:
        """The same server, asked as whom the token belongs to. Raises ConfigInvalid where it would be passed by."""
        if self._api.configuration.cert_file:
            raise ConfigInvalid(
                "The connection to the API server has a client certificate, which goes before any token.",
                remedy="Let the API run with a service account, or with a kubeconfig that has a token.",
            )
        return Kubernetes(self._api, bucket=self._bucket, token=token)

    async def get(self, path: str) -> JSON:
        """One object."""
        return await self._call("GET", path)

    async def create(self, path: str, body: JSON) -> JSON:
        """Create an object below a path of objects."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: JSON) -> JSON:
        """Merge fields into an object; a ``metadata.resourceVersion`` in it makes the change conditional."""
        return await self._call("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str, *, as_seen: ObjectMeta | None = None, foreground: bool = False) -> None:
        """Delete an object and what it owns, with ``foreground`` first what it owns; an absent one is no error.

        With ``as_seen``, only the object that has this metadata: Conflict when it has changed since, or is another one.
        """
        body: JSON = {"propagationPolicy": "Foreground" if foreground else "Background"}
        if as_seen is not None:
            body["preconditions"] = {"uid": as_seen.uid, "resourceVersion": as_seen.resource_version}
        try:
            await self._call("DELETE", path, body=body)
        except Absent:
            return

    async def pods_of(self, namespace: str, job: str) -> list[JSON]:
        """The pods of a Kubernetes Job, one for each try."""
        pods, _ = await self.list(pods_path(namespace), label_selector=f"batch.kubernetes.io/job-name={job}")
        return pods

    async def pod(self, namespace: str, name: str) -> JSON | None:
        """A pod, for who may list pods and not get one; None when there is none."""
        page = await self._call("GET", pods_path(namespace), query={"fieldSelector": f"metadata.name={name}"})
        return next(iter(page["items"]), None)

    async def events_of(self, namespace: str, uid: str) -> list[JSON]:
        """Events about an object, EVENTS at most."""
        query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": EVENTS}
        page = await self._call("GET", f"/api/v1/namespaces/{namespace}/events", query=query)
        return list(page["items"])

    async def list(self, path: str, *, label_selector: str = "") -> tuple[list[JSON], str]:
        """All objects, and the resource version to watch from."""
        pages = [page async for page in self.pages(path, label_selector=label_selector)]
        return [item for page in pages for item in page["items"]], pages[-1]["metadata"]["resourceVersion"]

    async def pages(self, path: str, *, label_selector: str = "") -> AsyncIterator[JSON]:
        """All objects as lists of PAGE at most, each with the resource version to watch from in its metadata.

        Raises Expired when they were taken so slowly that the server forgot the list.
        """
        query: dict[str, Any] = {"limit": PAGE, "labelSelector": label_selector}
        while True:
            page = await self._call("GET", path, query=query)
            yield page
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return

    async def watch(
        self, path: str, *, version: str, label_selector: str = "", seconds: int = WATCH_SECONDS
    ) -> AsyncIterator[JSON]:
        """Changes since the version as ``{"type", "object"}``, until the server ends the watch, after ``seconds``.

        Raises Expired.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "labelSelector": label_selector,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }
        async for line in self.lines(path, query, silence_s=seconds + min(30, seconds / 4)):
            event = json.loads(line)
            if event["type"] == "ERROR":
                if event["object"].get("code") == 410:
                    raise Expired
                raise KubernetesUnavailable(
                    f"The watch of {path} ended: {event['object'].get('message')}.",
                    remedy="It starts again by itself.",
                )
            yield event

    async def lines(self, path: str, query: Mapping[str, Any], *, silence_s: float) -> AsyncIterator[bytes]:
        """The lines of an answer as they arrive; silence for longer ends it with KubernetesUnavailable."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CALL_TIMEOUT_S, sock_read=silence_s)
        response = await self._send("GET", path, query=query, limit=timeout)
        buffer = b""
        try:
            async for chunk in response.content.iter_any():
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable(path, error) from error
        finally:
            response.close()
        if buffer:
            yield buffer

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: JSON | None = None,
        content_type: str = "application/json",
    ) -> JSON:
        response = await self._send(
            method, path, query=query, body=body, content_type=content_type, limit=CALL_TIMEOUT_S
        )
        try:
            answer: JSON = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unavailable(path, error) from error
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: JSON | None = None,
        content_type: str = "application/json",
        limit: float | aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        url = path + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": content_type, "Accept": "application/json, */*"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        for tries_left in reversed(range(TRIES)):
            if self._bucket:
                await asyncio.sleep(self._bucket.take(at=time.monotonic()))
            try:
                request = await self._api.param_serialize(
                    method,
                    url,
                    header_params=headers,
                    body=body,
                    auth_settings=[] if self._token is not None else ["BearerToken"],
                )
                answer = self._api.call_api(*request, _request_timeout=limit)
                response = await _measured(method, answer)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _unavailable(path, error) from error
            if response.status != TOO_MANY or not tries_left:
                break
            response.release()
            await asyncio.sleep(_pause(response))
        if response.status >= 400:
            await _refuse(path, response, delegated=self._token is not None)
        return response


async def _measured(verb: str, answer: Awaitable[Any]) -> aiohttp.ClientResponse:
    began, status = time.monotonic(), UNANSWERED
    try:
        response: aiohttp.ClientResponse = (await answer).response
        status = str(response.status)
    finally:
        REQUESTS.labels(verb, status).observe(time.monotonic() - began)
    return response


def _pause(response: aiohttp.ClientResponse) -> float:
    """The seconds for which the server wants to be left alone."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), PAUSE_LIMIT_S) if said.isdecimal() else 1.0


def _unavailable(path: str, error: Exception) -> KubernetesUnavailable:
    return KubernetesUnavailable(
        f"The API server did not answer for {path}: {str(error) or type(error).__name__}.",
        remedy="It is tried again; look at the API server if it lasts.",
    )


async def _refuse(path: str, response: aiohttp.ClientResponse, *, delegated: bool) -> None:
    """Raise what the status means."""
    try:
        told = await response.json(content_type=None)
    except (ValueError, aiohttp.ClientError):
        told = {}
    message = told.get("message", "")[:1000] or f"{response.status} {response.reason}"
    match response.status:
        case 404:
            raise Absent(message)
        case 409:
            raise Conflict(message)
        case 410:
            raise Expired(message)
        case 429 | 500 | 502 | 503 | 504:
            raise KubernetesUnavailable(
                f"The API server answered {response.status} for {path}: {message}.",
                remedy="It is tried again.",
            )
    raise ApiRefused(
        f"The API server refused {path}: {message}.",
        remedy="Check the operator's ClusterRole, the namespace's quota and its Pod Security level.",
        status=response.status,
        said=message,
        causes=[cause.get("reason", "") for cause in (told.get("details") or {}).get("causes") or ()],
        delegated=delegated,
    )
