"""Why the API answers no, beside what is wrong everywhere: see ``dataguardian.errors``."""

from __future__ import annotations

from http import HTTPStatus

from ..errors import DataGuardianError, PermissionRefused, SpecInvalid, Unavailable
from ..kube.client import ApiRefused

TERMINATING = "NamespaceTerminating"  # the API server's reason


class Unauthenticated(PermissionRefused):
    """A request to the API without a token that the cluster knows."""

    code = "unauthenticated"


class Forbidden(PermissionRefused):
    """The caller of the API lacks a right."""

    code = "forbidden"


class ConfirmationRequired(SpecInvalid):
    """The phrase that confirms a restore is missing, or is another one."""

    code = "restore-confirmation-required"

    def __init__(self, what: str, *, remedy: str, expected_phrase: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.expected_phrase = expected_phrase


class KeyReused(SpecInvalid):
    """An Idempotency-Key came back with another request."""

    code = "idempotency-key-reused"


class NotPossible(SpecInvalid):
    """What is asked for makes no sense in the state that the object is in."""

    code = "not-possible"


class TooManyStreams(SpecInvalid):
    """One caller holds too many streams open."""

    code = "too-many-streams"


class Busy(Unavailable):
    """Too many requests are being answered at once."""

    code = "busy"


class TooSlow(Unavailable):
    """A request was not answered in time."""

    code = "too-slow"


def as_told(error: DataGuardianError) -> DataGuardianError:
    """The error as the caller is told of it: what the API server refused them is about their request and rights."""
    if not isinstance(error, ApiRefused) or not error.delegated:
        return error
    said = error.said.rstrip(".") + "."
    if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return SpecInvalid(said, remedy="Correct what it names, and send the request again.")
    if error.status == HTTPStatus.UNAUTHORIZED:
        return Unauthenticated(said, remedy="Make a new token: kubectl create token <service account>.")
    if TERMINATING in error.causes:
        return NotPossible(said, remedy="The namespace is being deleted: nothing can be made in it any more.")
    return ApiRefused(said, remedy="Ask an administrator for the right, the quota or the policy that it names.")
