"""What the endpoints share: the clients, and what is remembered between requests."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from .access import Access
from .clients import Clients
from .trail import Trail


@dataclass(kw_only=True)
class State:
    """The sidecar's state; it lives as long as the process."""

    clients: Clients
    access: Access
    trail: Trail


STATE: web.AppKey[State] = web.AppKey("state")
