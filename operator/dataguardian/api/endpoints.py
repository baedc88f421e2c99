"""What an endpoint is: the one description that routes, permissions, checks of input and the OpenAPI document share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web
from pydantic import BaseModel

from .permissions import Permission

if TYPE_CHECKING:
    from .access import Caller
    from .state import State

EXECUTION_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
IDS: Mapping[str, tuple[str, str]] = {
    "execution_id": (EXECUTION_ID, "UUID of the execution."),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that was read and whose caller is known."""

    request: web.Request
    state: State
    caller: Caller
    query: Any = None  # an instance of the endpoint's query

    def path(self, name: str) -> str:
        """A part of the path, by the name that it has in IDS."""
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path under /api.

    The handler asks ``call.caller`` for the permission, because it alone knows the namespace: an answer of one that
    did not ask is replaced by 500. Whoever may have none is ``self``: it tells the caller of themselves only.
    """

    method: Literal["GET"]
    path: str  # with names of IDS in braces
    permission: Permission | Literal["self"]
    summary: str  # one line
    handler: Handler
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    # Other media types that it answers on request, by what is asked for, with what they are.
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The operationId: that of the function."""
        module = getattr(self.handler, "__module__", "").rpartition(".")[2]
        return f"{module}.{getattr(self.handler, '__name__', '')}"
