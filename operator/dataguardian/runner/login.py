"""Logging in: credentials are read from mounted files, and reach the engine's programs through a file as well."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ..domain.plan import WORK_DIR, Endpoint, EphemeralServer
from ..engines import ENGINES, Engine, Login
from ..errors import ConfigInvalid, SpecInvalid
from ..secret_file import reader

PASSWORD_FILE = "login"  # noqa: S105 - a file's name


def engine_of(endpoint: Endpoint) -> Engine:
    """The engine of a database. Raises SpecInvalid for one that this release does not know."""
    engine = ENGINES.get(endpoint.engine)
    if engine is None:
        raise SpecInvalid(
            f"The engine {endpoint.engine!r} of datasource {endpoint.datasource!r} is not known.",
            remedy=f"Use one of {', '.join(sorted(ENGINES))}.",
        )
    return engine


def prepare(endpoint: Endpoint, engine: Engine, file_name: str = PASSWORD_FILE) -> Login:
    """The login to a database, its password in a file of this name. Raises NotFound when a secret file is missing."""
    read = reader("datasource", endpoint.datasource, "spec")
    username, password = read(endpoint.username_file), read(endpoint.password_file)
    if endpoint.ca_file:
        read(endpoint.ca_file)
    if "\n" in password or "\n" in username:
        raise SpecInvalid(
            f"The username or password of datasource {endpoint.datasource!r} contains a line break.",
            remedy="Store them in the Secret as one line.",
        )
    path = _work_folder() / file_name
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigInvalid(
            f"The runner's work folder {path.parent} cannot be written: {error.strerror}.",
            remedy="Mount a volume in memory there, or name another folder in DATAGUARDIAN_WORK_DIR.",
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(engine.password_file(password))
    return Login(endpoint, username, str(path))


def elsewhere(login: Login, database: str) -> Login:
    """The same server and role, another database."""
    return msgspec.structs.replace(login, endpoint=msgspec.structs.replace(login.endpoint, database=database))


def beside(server: EphemeralServer) -> Login:
    """The login to the server in the run's own pod: by its socket, which nobody else reaches, without a password."""
    endpoint = Endpoint(
        datasource="ephemeral",
        engine=server.engine,
        host=server.socket_dir,
        port=5432,
        database="postgres",
        username_file="",
        password_file="",
        tls_mode="disable",
    )
    return Login(endpoint, server.username, "")


def _work_folder() -> Path:
    return Path(os.environ.get("DATAGUARDIAN_WORK_DIR", WORK_DIR))
