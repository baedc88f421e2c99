"""What the operator may do; the chart's ClusterRole, and the Role in its own namespace, are generated from it.

No rule reads Secrets: checks and runs happen in pods that mount them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.naming import LEASE
from ..resources import KINDS
from ..resources.common import GROUP

OPERATOR_RULES: tuple[Mapping[str, Any], ...] = (
    {
        "apiGroups": [GROUP],
        "resources": [kind.plural for kind in KINDS],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": [GROUP], "resources": [f"{kind.plural}/status" for kind in KINDS], "verbs": ["patch"]},
    {"apiGroups": [GROUP], "resources": ["backupexecutions"], "verbs": ["create", "delete"]},
    {
        "apiGroups": ["batch"],
        "resources": ["jobs"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
)
# In the operator's own namespace.
LEASE_RULES: tuple[Mapping[str, Any], ...] = (
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [LEASE],
        "verbs": ["get", "patch"],
    },
)
