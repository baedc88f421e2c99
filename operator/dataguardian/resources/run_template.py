"""What people add to the pods of their runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict

from .common import Model

ShortMap = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=64)]
# Parts of the pod's own API, which the API server checks when the pod is made.
Opaque: JsonDict = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class RunTemplate(Model):
    """What the pods of the runs get beside what DataGuardian gives them."""

    labels: ShortMap = Field(default={}, description="Labels of the Kubernetes Job and its pod.")
    annotations: ShortMap = Field(default={}, description="Annotations of the Kubernetes Job and its pod.")
    resources: dict[str, Any] | None = Field(
        default=None, description="Requests and limits of the container.", json_schema_extra=Opaque
    )
    node_selector: ShortMap = Field(default={}, description="Labels that the node must have.")
    tolerations: Annotated[list[Annotated[dict[str, Any], Field(json_schema_extra=Opaque)]], Field(max_length=32)] = (
        Field(default=[], description="Taints that the pod tolerates.")
    )
    affinity: dict[str, Any] | None = Field(default=None, description="Affinity of the pod.", json_schema_extra=Opaque)
    priority_class_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="PriorityClass of the pod."
    )
    service_account_name: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="ServiceAccount of the pod; its token is never mounted."
    )
