"""What an engine says to run."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..domain.plan import Endpoint


class Command(msgspec.Struct, frozen=True):
    """A program, its arguments and its whole environment. The environment stays out of ``repr``."""

    argv: tuple[str, ...]
    env: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Command({self.argv!r})"


class Login(msgspec.Struct, frozen=True):
    """A database, who logs in, and the file that holds the password as the engine's programs want it.

    Without a file there is no password.
    """

    endpoint: Endpoint
    username: str
    password_file: str
