"""The OpenAPI document: complete, and without references to nothing."""

from __future__ import annotations

import json
import re

import pytest

from dataguardian.api.app import ENDPOINTS
from dataguardian.api.endpoints import Endpoint
from dataguardian.api.openapi import document
from dataguardian.api.permissions import PERMISSIONS, RIGHTS

FOUND = document(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
def test_every_endpoint_tells_what_it_needs_and_what_it_answers(endpoint: Endpoint) -> None:
    told = FOUND["paths"][endpoint.path][endpoint.method.lower()]

    assert endpoint.permission == "self" or f"`{endpoint.permission}`" in told["description"]
    assert {str(int(endpoint.status)), "401", "503"} <= set(told["responses"])
    assert ("403" in told["responses"]) == (endpoint.permission != "self")


def test_every_reference_leads_to_a_schema() -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(FOUND)))

    assert names
    assert names <= set(FOUND["components"]["schemas"])


def test_no_two_endpoints_have_one_operation_id() -> None:
    told = [operation["operationId"] for path in FOUND["paths"].values() for operation in path.values()]

    assert len(told) == len(set(told)) == len(ENDPOINTS)


def test_every_permission_is_some_right_in_the_cluster() -> None:
    assert set(RIGHTS) == set(PERMISSIONS)
    assert all(RIGHTS.values())
