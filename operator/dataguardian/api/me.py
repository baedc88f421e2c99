"""``GET /api/access/me``: who the caller is, and what they may."""

from __future__ import annotations

import asyncio

from pydantic import Field

from .endpoints import Call, Endpoint
from .models import Answer
from .permissions import PERMISSIONS, Permission


class Granted(Answer):
    """A permission, and where the caller has it."""

    permission: Permission = Field(description="Name of the permission.")
    everywhere: bool = Field(description="Whether it is had in all namespaces.")
    namespaces: list[str] = Field(description="Where it is had, when that is not everywhere.")


class Me(Answer):
    """The caller."""

    name: str = Field(description="The user or service account, as the cluster calls it.")
    groups: list[str] = Field(description="Its groups.")
    permissions: list[Granted] = Field(description="All permissions that there are.")


async def show(call: Call) -> Me:
    """Tell the caller what they may."""
    granted = await asyncio.gather(*(_granted(call, permission) for permission in PERMISSIONS))
    return Me(name=call.caller.name, groups=list(call.caller.person.groups), permissions=list(granted))


async def _granted(call: Call, permission: Permission) -> Granted:
    where = await call.caller.where(permission)
    return Granted(permission=permission, everywhere=where is None, namespaces=sorted(where or ()))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/access/me",
        permission="self",
        summary="Who the caller is, and which permissions they have where.",
        handler=show,
        answer=Me,
    ),
)
