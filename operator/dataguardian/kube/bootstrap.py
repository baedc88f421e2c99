"""The Secret of the embedded Postgres and Redis: random, made once, inside the cluster.

A chart that draws random values renders differently each time, which GitOps tools show as drift for ever.
"""

from __future__ import annotations

import logging
import secrets

from .client import Conflict, Kubernetes
from .connection import connect

log = logging.getLogger(__name__)


def embedded_secret() -> dict[str, str]:
    """Fresh credentials, in the form that each server reads them."""
    postgres, redis = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    return {
        "postgres-username": "dataguardian",
        "postgres-password": postgres,
        "redis-password": redis,
        "users.acl": f"user default on >{redis} ~* &* +@all\n",
    }


async def ensure_secret(namespace: str, name: str) -> None:
    """Create the Secret; do nothing when it exists."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "dataguardian"}},
        "stringData": embedded_secret(),
    }
    async with connect() as api:
        try:
            await Kubernetes(api).create(f"/api/v1/namespaces/{namespace}/secrets", body)
        except Conflict:
            log.info("The Secret exists and is left as it is", extra={"action": "secret_kept", "secret": name})
            return
    log.info("Secret created", extra={"action": "secret_created", "secret": name})
