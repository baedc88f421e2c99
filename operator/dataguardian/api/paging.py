"""``continue``: where the next page begins. Opaque to callers, and good for the list only that it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from ..errors import SpecInvalid

Item = TypeVar("Item")
Place = Sequence[str | int | datetime | UUID]  # the order's values of the last item of a page


def cut(
    found: Sequence[Item], limit: int, filters: Mapping[str, Any], place: Callable[[Item], Place]
) -> tuple[list[Item], str | None]:
    """The page of what was found from its beginning on, one more than ``limit`` of which tells that there is a next
    one; and the token of that. ``place`` gives the order's values of an item."""
    page = list(found[:limit])
    return page, as_token(place(page[-1]), filters) if len(found) > limit else None


def as_token(place: Place, filters: Mapping[str, Any]) -> str:
    """The text that a page gives for the next one."""
    text = json.dumps([_digest(filters), *place], separators=(",", ":"), default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(token: str | None, filters: Mapping[str, Any], *, shape: Sequence[type]) -> list[Any] | None:
    """The place in a token, None without one. Raises SpecInvalid for a token of another list, or of nobody."""
    if token is None:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        place: list[Any]
        digest, *place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise _invalid("is no token of a page") from None
    if digest != _digest(filters):
        raise _invalid("comes from a list with other filters")
    if [type(part) for part in place] != list(shape):
        raise _invalid("is no token of this list")
    return place


def moment_and_id(token: str | None, filters: Mapping[str, Any]) -> tuple[datetime, UUID] | None:
    """The place in the token of a list that is ordered by a moment and an id. Raises SpecInvalid as ``place_of``."""
    place = place_of(token, filters, shape=(str, str))
    if place is None:
        return None
    try:
        return datetime.fromisoformat(place[0]).astimezone(UTC), UUID(place[1])
    except (ValueError, OverflowError):
        raise _invalid("is no token of this list") from None


def _digest(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _invalid(what: str) -> SpecInvalid:
    return SpecInvalid(
        f"continue: it {what}.", remedy="Send the `continue` of the page before with the same filters, or none."
    )
