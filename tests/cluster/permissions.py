"""ServiceAccounts that stand for people."""

from __future__ import annotations

from .shop import Shop


def account(shop: Shop, role: str) -> str:
    """A ServiceAccount with that ClusterRole of the chart; the user that it is."""
    shop.cluster.kubectl("create", "serviceaccount", role, "-n", shop.namespace)
    user = f"system:serviceaccount:{shop.namespace}:{role}"
    bind = ["create", "rolebinding", role, f"--clusterrole=dataguardian-{role}"]
    shop.cluster.kubectl(*bind, f"--serviceaccount={shop.namespace}:{role}", "-n", shop.namespace)
    return user
