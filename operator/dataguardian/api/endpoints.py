"""What an endpoint is: the one description that routes, permissions, checks of input and the OpenAPI document share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web
from pydantic import BaseModel

from .permissions import Permission

if TYPE_CHECKING:
    from .access import Caller
    from .state import State

# Of an object; namespaces have no dots, so the first one parts it. Kubernetes' limits: 63 characters and 253.
OBJECT_ID = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
EXECUTION_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
IDS: Mapping[str, tuple[str, str]] = {
    "job_id": (OBJECT_ID, "`<namespace>.<name>` of the job."),
    "execution_id": (EXECUTION_ID, "UUID of the execution."),
}


@dataclass(kw_only=True)
class Deed:
    """Who asks for what, as far as it is known by now."""

    action: str = ""
    who: str = ""  # empty until it is known who calls
    namespace: str = ""
    object_kind: str = ""
    object_name: str = ""
    execution_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that was read and whose caller is known."""

    request: web.Request
    state: State
    caller: Caller
    query: Any = None  # an instance of the endpoint's query
    body: Any = None  # and of its body
    request_id: str = ""
    deed: Deed = field(default_factory=Deed)  # the row of the audit log that a write becomes

    def about(self, kind: str, namespace: str, name: str, *, action: str | None = None) -> None:
        """Say which object a write is about that its path does not name, and what is done when the body decides it.

        Said before anything can be refused, it stands in the audit log whatever follows.
        """
        self.deed.object_kind, self.deed.namespace, self.deed.object_name = kind, namespace, name
        self.deed.action = action or self.deed.action

    def path(self, name: str) -> str:
        """A part of the path, by the name that it has in IDS."""
        return self.request.match_info[name]

    @property
    def job(self) -> tuple[str, str]:
        """Namespace and name of the job in the path."""
        namespace, _, name = self.path("job_id").partition(".")
        return namespace, name


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a handler answers when a model alone does not say it all."""

    body: BaseModel
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """An answer that goes on: the handler has found that the caller may have it, and its limit of time is over."""

    run: Callable[[], Awaitable[web.StreamResponse]]


Handler = Callable[[Call], Awaitable[BaseModel | Reply | Streamed | web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path under /api.

    The handler asks ``call.caller`` for the permission, because it alone knows the namespace: an answer of one that
    did not ask is replaced by 500. Whoever may have none is ``self``: it tells the caller of themselves only.
    """

    method: Literal["GET", "POST"]
    path: str  # with {job_id} or {execution_id}
    permission: Permission | Literal["self"]
    summary: str  # one line
    handler: Handler
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = HTTPStatus.OK
    media_type: str = "application/json"  # of the answer; of events, the answer is the data of one
    # Other media types that it answers on request, by what is asked for, with what they are.
    also: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)  # beside those that every endpoint of its form has
    action: str | None = None  # of a write, as the audit log names it, e.g. backup_job.run
    idempotent: bool = False  # takes an Idempotency-Key
    seconds: float = 4.5  # after which it is given up; what is streamed begins after the handler

    def __post_init__(self) -> None:
        if (self.method == "GET") != (self.action is None):
            raise ValueError(f"{self.method} {self.path}: a write has an action for the audit log, and a read has none")

    @property
    def name(self) -> str:
        """The operationId: that of the function."""
        module = getattr(self.handler, "__module__", "").rpartition(".")[2]
        return f"{module}.{getattr(self.handler, '__name__', '')}"
