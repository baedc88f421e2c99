"""Who calls, and what they may do: the cluster's own answers, remembered for some seconds."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from aiohttp import web

from ..kube.client import Kubernetes
from ..kube.reviews import Person, may, person_of
from ..resources.common import GROUP
from .permissions import RIGHTS, Permission, Right
from .refusals import Forbidden, Unauthenticated

YES_S, NO_S = 10.0, 2.0  # how long an answer is good
ASKED_AT_ONCE = 16  # SubjectAccessReviews of one request
REMEMBERED = 20_000
LONGEST_TOKEN = 16_384


class Placed(Protocol):
    """What is in a namespace."""

    @property
    def namespace(self) -> str:
        """Its name."""


PlacedT = TypeVar("PlacedT", bound=Placed)


class Answers:
    """Yes or no, remembered; a yes for longer than a no, so that a new right is seen soon."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[float, Any]] = {}
        self._asking: WeakValueDictionary[Any, asyncio.Lock] = WeakValueDictionary()

    async def get(self, question: Any, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, asked for when it is not known, and once by askers at once.

        Raises what asking raises, which is not remembered.
        """
        async with self._asking.setdefault(question, asyncio.Lock()):
            known = self._known.get(question)
            if known is not None and time.monotonic() < known[0]:
                return known[1]
            answer = await ask()
            if len(self._known) >= REMEMBERED:
                self._forget()
            self._known[question] = (time.monotonic() + (YES_S if answer else NO_S), answer)
            return answer

    def _forget(self) -> None:
        at = time.monotonic()
        self._known = {question: known for question, known in self._known.items() if at < known[0]}
        if len(self._known) >= REMEMBERED:
            self._known.clear()


@dataclass(kw_only=True)
class Access:
    """What the API server said of tokens and rights."""

    kube: Kubernetes
    namespaces: Callable[[], Awaitable[frozenset[str]]]  # those that a list may have something of
    _people: Answers = field(default_factory=Answers)
    _rights: Answers = field(default_factory=Answers)

    async def caller(self, request: web.Request) -> Caller:
        """Who calls. Raises Unauthenticated; KubernetesUnavailable when nobody can be asked."""
        token = _token_of(request)
        # By its digest: a heap dump of the sidecar is no list of tokens.
        digest = hashlib.sha256(token.encode()).digest()
        person: Person | None = await self._people.get(digest, lambda: person_of(self.kube, token))
        if person is None:
            raise Unauthenticated(
                "The token is none of this cluster, or is over.",
                remedy="Make a new one: kubectl create token <service account>.",
            )
        return Caller(access=self, person=person, token=token)

    async def has(self, person: Person, right: Right, namespace: str, name: str) -> bool:
        """Whether a person has a right."""
        extra = tuple(sorted((key, tuple(values)) for key, values in person.extra.items()))  # such as a token's scopes
        question = (person.name, person.uid, tuple(person.groups), extra, right, namespace, name)
        answer: bool = await self._rights.get(
            question,
            lambda: may(
                self.kube,
                person,
                verb=right.verb,
                group=GROUP,
                resource=right.resource,
                namespace=namespace,
                name=name,
            ),
        )
        return answer


@dataclass(kw_only=True)
class Caller:
    """Who made a request."""

    access: Access
    person: Person
    token: str = field(repr=False)
    asked: bool = False  # whether any right was asked for: an endpoint that forgets it is a defect

    @property
    def name(self) -> str:
        """The user's name, as the cluster knows it."""
        return self.person.name

    @property
    def kube(self) -> Kubernetes:
        """The API server as the caller may use it: what is written is written as them."""
        return self.access.kube.with_token(self.token)

    async def missing(self, permission: Permission, namespace: str, name: str = "") -> Right | None:
        """The first right of a permission that the caller has not; all namespaces when it is empty."""
        self.asked = True
        for right in RIGHTS[permission]:
            # Objects are named in the rights on one object alone; a list or a create has no name.
            named = name if right.verb not in ("list", "create") else ""
            if not await self.access.has(self.person, right, namespace, named):
                return right
        return None

    async def may(self, permission: Permission, namespace: str, name: str = "") -> bool:
        """Whether the caller has a permission in a namespace."""
        return await self.missing(permission, namespace, name) is None

    async def demand(self, permission: Permission, namespace: str, name: str = "") -> None:
        """Raise Forbidden, with what is missing, when the caller has it not."""
        right = await self.missing(permission, namespace, name)
        if right is not None:
            raise forbidden(permission, right, f"in namespace {namespace!r}")

    async def shown(self, permission: Permission, found: PlacedT | None) -> PlacedT | None:
        """What was found, if the caller may know of it.

        Asked in any case, so that an id that nobody has takes as long as one that is somebody else's.
        """
        return found if await self.may(permission, found.namespace if found else "") else None

    async def namespaces(self, permission: Permission, wanted: str | None = None) -> frozenset[str] | None:
        """Where the caller has a permission; None is everywhere. Of the ``wanted`` namespace alone when one is.

        Raises Forbidden when it is nowhere.
        """
        if wanted is not None:
            await self.demand(permission, wanted)
            return frozenset({wanted})
        found = await self.where(permission)
        if found is not None and not found:
            right = await self.missing(permission, "") or RIGHTS[permission][0]
            raise forbidden(permission, right, "in any namespace that has something of DataGuardian")
        return found

    async def where(self, permission: Permission) -> frozenset[str] | None:
        """Where the caller has a permission; None is everywhere, and empty nowhere."""
        if await self.may(permission, ""):
            return None
        limit = asyncio.Semaphore(ASKED_AT_ONCE)

        async def has(namespace: str) -> bool:
            async with limit:
                return await self.may(permission, namespace)

        candidates = sorted(await self.access.namespaces())
        answers = await asyncio.gather(*map(has, candidates))
        return frozenset(namespace for namespace, yes in zip(candidates, answers, strict=True) if yes)


def forbidden(permission: Permission, right: Right, where: str) -> Forbidden:
    """The refusal that names what is missing."""
    return Forbidden(
        f"The permission {permission} is missing {where}: it needs the right to {right}.",
        remedy="Ask an administrator to bind one of the ClusterRoles that the chart brings.",
    )


def _token_of(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise Unauthenticated(
            "The request has no bearer token.",
            remedy="Send the header `Authorization: Bearer <token>`; kubectl create token <service account> makes one.",
        )
    return token
