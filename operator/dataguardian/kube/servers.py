"""The throw-away database server beside a runner: one more container of its pod, and nothing that outlives it.

It listens to no address: only who shares the pod's volume reaches its socket. Its data need not survive anything.
"""

from __future__ import annotations

from typing import Any

from ..domain.plan import SERVER_DATA_DIR, SERVER_SOCKET_DIR
from ..domain.planning import Server
from ..errors import ConfigInvalid
from ..settings import ServerSettings

JSON = dict[str, Any]
CONTAINER = "server"
SOCKETS, DATA, SCRATCH = "server-sockets", "server-data", "server-tmp"
# Where the official image of PostgreSQL has them.
_PGDATA_PARENT = "/var/lib/postgresql/data"
_SOCKET_DIR = "/var/run/postgresql"
_MAJOR = "{major}"


def settings_of(server: Server, known: dict[str, ServerSettings]) -> ServerSettings:
    """How a server of this engine is started. Raises ConfigInvalid for an engine that has no image."""
    found = known.get(server.engine)
    if found is None:
        raise ConfigInvalid(
            f"There is no image for a throw-away server of {server.engine}.",
            remedy=f"Set verification.{server.engine} in the chart's values, or use verificationTarget Datasource.",
        )
    return found


def container(server: Server, settings: ServerSettings, pull_policy: str) -> JSON:
    """The server's container: one that Kubernetes starts before the runner's and ends after it."""
    return {
        "name": CONTAINER,
        "restartPolicy": "Always",
        "image": settings.image.replace(_MAJOR, str(server.major)),
        "imagePullPolicy": pull_policy,
        "args": [
            "postgres",
            *_options(listen_addresses="", fsync="off", full_page_writes="off", synchronous_commit="off"),
            *_options(wal_level="minimal", max_wal_senders="0", max_wal_size="4GB", autovacuum="off"),
            *_options(max_locks_per_transaction="1024"),  # all tables are made in one, each with some four locks
        ],
        "env": [
            # Nobody but the runner shares the socket, and there is no other way in.
            {"name": "POSTGRES_HOST_AUTH_METHOD", "value": "trust"},
            {"name": "PGDATA", "value": f"{_PGDATA_PARENT}/pgdata"},
        ],
        "resources": settings.resources,
        "securityContext": {
            "runAsUser": settings.user,
            "runAsGroup": settings.user,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": SOCKETS, "mountPath": _SOCKET_DIR},
            {"name": DATA, "mountPath": _PGDATA_PARENT},
            {"name": SCRATCH, "mountPath": "/tmp"},  # noqa: S108 - a mount of the container
        ],
    }


def volumes(settings: ServerSettings) -> list[JSON]:
    """What the server writes to."""
    disk = {"sizeLimit": settings.size_limit} if settings.size_limit else {}
    return [
        {"name": SOCKETS, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": DATA, "emptyDir": disk},
        {"name": SCRATCH, "emptyDir": {"sizeLimit": "64Mi"}},
    ]


def mounts() -> list[JSON]:
    """What the runner sees of the server: its socket, and how much room its disk has."""
    return [
        {"name": SOCKETS, "mountPath": SERVER_SOCKET_DIR},
        {"name": DATA, "mountPath": SERVER_DATA_DIR, "readOnly": True},
    ]


def _options(**settings: str) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
