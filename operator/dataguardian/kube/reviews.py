"""Who somebody is and what they may do, as the API server says: TokenReview and SubjectAccessReview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .client import Kubernetes

WHO = "/apis/authentication.k8s.io/v1/tokenreviews"
WHETHER = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who a token belongs to: a user of the cluster, or a service account."""

    name: str
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


async def person_of(kube: Kubernetes, token: str) -> Person | None:
    """Whose token it is; None when it is nobody's. Raises what Kubernetes.create does."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = (await kube.create(WHO, body)).get("status", {})
    if not status.get("authenticated"):
        return None
    user = status["user"]
    return Person(
        name=user.get("username", ""),
        uid=user.get("uid", ""),
        groups=tuple(user.get("groups") or ()),
        extra=user.get("extra") or {},
    )


async def may(
    kube: Kubernetes, person: Person, *, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
) -> bool:
    """Whether RBAC lets the person do it; an empty namespace is all of them, an empty name all objects."""
    wanted = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    spec = {
        "user": person.name,
        "uid": person.uid,
        "groups": list(person.groups),
        "extra": {key: list(values) for key, values in person.extra.items()},
        "resourceAttributes": {key: value for key, value in wanted.items() if value},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    status = (await kube.create(WHETHER, body)).get("status", {})
    return bool(status.get("allowed"))
