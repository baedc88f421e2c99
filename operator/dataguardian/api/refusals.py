"""Why the API answers no, beside what is wrong everywhere: see ``dataguardian.errors``."""

from __future__ import annotations

from ..errors import PermissionRefused, SpecInvalid, Unavailable


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


class TooSlow(Unavailable):
    """A request was not answered in time."""

    code = "too-slow"
