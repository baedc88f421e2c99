"""Who calls the API in tests: service accounts with the chart's roles, and what they send."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from .apiserver import ApiServer
from .services import ROOT, program

Client = TestClient[Request, Application]


@contextmanager
def chart_parts(apiserver: ApiServer, *templates: str) -> Iterator[None]:
    """The API server has what these templates of the chart make inside this block."""
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": rendered(*templates)})
    apiserver.kubectl("apply", "-f", "-", stdin=objects)
    try:
        yield
    finally:
        apiserver.kubectl("delete", "-f", "-", stdin=objects)


def rendered(*templates: str) -> list[dict[str, Any]]:
    """The objects that these templates of the chart make."""
    only = [f"--show-only=templates/{name}.yaml" for name in templates]
    chart = [str(program("helm") / "helm"), "template", "dataguardian", str(ROOT / "charts/dataguardian"), *only]
    text = subprocess.run([*chart, "--kube-version=1.31"], check=True, capture_output=True, text=True).stdout
    return [each for each in yaml.safe_load_all(text) if each]


def token_of(apiserver: ApiServer, namespace: str, name: str, *, role: str | None, everywhere: bool = False) -> str:
    """A token of a new service account, which has one of the chart's roles in its namespace, or in all."""
    apiserver.kubectl("create", "serviceaccount", name, "-n", namespace)
    if role:
        kind = ["clusterrolebinding", f"{namespace}-{name}"] if everywhere else ["rolebinding", name, "-n", namespace]
        account = f"--serviceaccount={namespace}:{name}"
        apiserver.kubectl("create", *kind, f"--clusterrole=dataguardian-{role}", account)
    return apiserver.kubectl("create", "token", name, "-n", namespace, "--duration=1h").strip()


@dataclass(kw_only=True)
class Told:
    """An answer that was read."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Any


def bearer(token: str | None) -> dict[str, str]:
    """The header of somebody; nobody sends none."""
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


async def get(client: Client, path: str, token: str | None, headers: Mapping[str, str] | None = None) -> Told:
    """What the API answers to somebody."""
    async with client.get(path, headers={**bearer(token), **(headers or {})}) as answer:
        return await told(answer)


async def post(
    client: Client, path: str, token: str | None, body: object = None, headers: Mapping[str, str] | None = None
) -> Told:
    """What the API answers to somebody who asks for something to be done; without a body when it is None."""
    async with client.post(path, json=body, headers={**bearer(token), **(headers or {})}) as answer:
        return await told(answer)


async def told(answer: ClientResponse) -> Told:
    """The answer, with its body as what its type says."""
    text = await answer.text()
    body = await answer.json(content_type=None) if "json" in answer.content_type and text else text
    return Told(status=answer.status, headers=answer.headers, body=body)
