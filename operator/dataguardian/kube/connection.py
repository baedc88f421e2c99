"""The connection to the API server, and the fence that an operator's writes stand behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from kubernetes.aio import client, config

from ..errors import ConfigInvalid

Fence = Callable[[], None]
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@asynccontextmanager
async def connect(*, fence: Fence | None = None) -> AsyncIterator[client.ApiClient]:
    """A connection with the pod's own token, or with KUBECONFIG outside a cluster.

    The fence is called before each write and raises to keep it back.
    """
    configuration = client.Configuration()
    if fence is not None:
        configuration.trace_configs = [_guard(fence)]
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # has no annotations
    except config.ConfigException:
        try:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # has no annotations
        except config.ConfigException as error:
            raise ConfigInvalid(
                f"No Kubernetes to talk to: {error}.", remedy="Run in a cluster, or set KUBECONFIG."
            ) from error
    async with client.ApiClient(configuration) as api:
        yield api


def _guard(fence: Fence) -> aiohttp.TraceConfig:
    """Asks the fence at the last moment: the connection is there, and nothing of the request has been sent.

    A process may be frozen anywhere before, and aiohttp sends a DELETE again by itself when a connection breaks.
    """

    async def check(_: object, __: object, request: aiohttp.TraceRequestHeadersSentParams) -> None:
        if request.method in WRITES:
            fence()

    guard = aiohttp.TraceConfig()
    guard.on_request_headers_sent.append(check)
    return guard
