"""The right to restore is another one than the right to verify."""

from __future__ import annotations

from .permissions import account
from .shop import Shop

RESTORE = {"backupExecutionRef": {"name": "first"}, "confirmationPhrase": "RESTAURAR", "dropExisting": True}
VERIFY = {
    "backupExecutionRef": {"name": "first"},
    "confirmationPhrase": "VERIFICAR RESTORE",
    "verificationMode": True,
}


def test_who_may_only_verify_is_refused_a_restore_and_allowed_a_verification(shop: Shop) -> None:
    verifier, admin = account(shop, "verifier"), account(shop, "admin")
    shop.backup("first")
    restore, look = shop.object("RestoreRequest", "back", RESTORE), shop.object("RestoreRequest", "look", VERIFY)

    said = shop.cluster.refused(restore, user=verifier)
    shop.cluster.create(look, user=verifier)
    shop.cluster.create(restore, user=admin)

    assert "needs the verb restore on backupexecutions.dataguardian.io first" in said
    verified, restored = shop.ended("RestoreRequest", "look"), shop.ended("RestoreRequest", "back")
    assert verified["status"]["verification"]["result"] == "Passed"
    assert restored["status"]["phase"] == "Completed"


def test_the_operator_itself_may_verify_and_not_restore(shop: Shop) -> None:
    operator = "system:serviceaccount:dataguardian:dataguardian"
    restore, look = shop.object("RestoreRequest", "back", RESTORE), shop.object("RestoreRequest", "look", VERIFY)

    assert "needs the verb restore" in shop.cluster.refused(restore, user=operator)
    shop.cluster.create(look, user=operator)
