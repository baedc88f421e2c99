"""Who may do what: the rules of the ClusterRoles and Roles in the chart.

The controller is our program, and an operator is a person here. No rule of the controller reads Secrets: checks and
runs happen in pods that mount them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.naming import LEASE
from ..resources import KINDS
from ..resources.common import GROUP

# The verbs that the admission policies ask for, on the BackupExecution that a RestoreRequest names.
RESTORE, RESTORE_VERIFY = "restore", "restore-verify"
# No kind has this name: it is there so that the right to read the audit log can be given.
AUDIT = "auditlogs"
CONTROLLER_RULES: tuple[Mapping[str, Any], ...] = (
    {
        "apiGroups": [GROUP],
        "resources": [kind.plural for kind in KINDS],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": [GROUP], "resources": [f"{kind.plural}/status" for kind in KINDS], "verbs": ["patch"]},
    {
        "apiGroups": [GROUP],
        "resources": ["backupexecutions", "restorerequests", "databasesyncexecutions"],
        "verbs": ["create", "delete"],
    },
    # It creates the RestoreRequests of drills, which are verifications, and may do no more.
    {"apiGroups": [GROUP], "resources": ["backupexecutions"], "verbs": [RESTORE_VERIFY]},
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
    # The API asks who its callers are, and what they may do.
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
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

_EVERYTHING = [kind.plural for kind in KINDS]
_WRITE = ["create", "update", "patch", "delete", "deletecollection"]
VIEWER_RULES: tuple[Mapping[str, Any], ...] = (
    {"apiGroups": [GROUP], "resources": _EVERYTHING, "verbs": ["get", "list", "watch"]},
)
# Whoever operates may end a restore, and may not begin one; may run a sync, and may not say which database it replaces.
OPERATOR_RULES: tuple[Mapping[str, Any], ...] = (
    {
        "apiGroups": [GROUP],
        "resources": [
            plural for plural in _EVERYTHING if plural not in ("restorerequests", "restoredrills", "databasesyncjobs")
        ],
        "verbs": _WRITE,
    },
    {"apiGroups": [GROUP], "resources": ["restorerequests"], "verbs": ["update", "patch"]},
)
# To delete a restore lets go of its safety backup, as to confirm it does.
VERIFIER_RULES: tuple[Mapping[str, Any], ...] = (
    {"apiGroups": [GROUP], "resources": ["restorerequests"], "verbs": ["create", "update", "patch"]},
    {"apiGroups": [GROUP], "resources": ["restoredrills"], "verbs": _WRITE},
    {"apiGroups": [GROUP], "resources": ["backupexecutions"], "verbs": [RESTORE_VERIFY]},
)
ADMIN_RULES: tuple[Mapping[str, Any], ...] = (
    {"apiGroups": [GROUP], "resources": ["restorerequests", "restoredrills", "databasesyncjobs"], "verbs": _WRITE},
    {"apiGroups": [GROUP], "resources": ["backupexecutions"], "verbs": [RESTORE, RESTORE_VERIFY]},
    {"apiGroups": [GROUP], "resources": [AUDIT], "verbs": ["list"]},
)
# Each role is whole: who binds one of them alone gets what its name says.
RULES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "controller": CONTROLLER_RULES,
    "lease": LEASE_RULES,
    "viewer": VIEWER_RULES,
    "operator": (*VIEWER_RULES, *OPERATOR_RULES),
    "verifier": (*VIEWER_RULES, *VERIFIER_RULES),
    "admin": (*VIEWER_RULES, *OPERATOR_RULES, *ADMIN_RULES),
}
