"""What a caller is told of that which the API server refused them."""

from __future__ import annotations

import pytest

from dataguardian.api.problems import status_of
from dataguardian.api.refusals import TERMINATING, as_told
from dataguardian.kube.client import ApiRefused


def refused(status: int, causes: list[str], *, delegated: bool) -> ApiRefused:
    return ApiRefused(
        "The API server refused /apis: no.", remedy="r", status=status, said="no", causes=causes, delegated=delegated
    )


@pytest.mark.parametrize(
    ("status", "causes", "told", "code"),
    [
        (400, [], 422, "spec-invalid"),
        (422, ["FieldValueInvalid"], 422, "spec-invalid"),
        (401, [], 401, "unauthenticated"),
        (403, [], 403, "kubernetes-refused"),
        (403, [TERMINATING], 409, "not-possible"),
        (405, [], 403, "kubernetes-refused"),
    ],
)
def test_a_refusal_of_the_caller_is_told_in_the_server_s_words(
    status: int, causes: list[str], told: int, code: str
) -> None:
    error = as_told(refused(status, causes, delegated=True))

    assert (status_of(error), error.code, error.what) == (told, code, "no.")


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refusal_of_our_own_request_is_no_fault_of_the_caller_s(status: int) -> None:
    error = refused(status, [], delegated=False)

    assert as_told(error) is error
