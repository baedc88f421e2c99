"""Masks a load, so that the target never has what the source's columns hold."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.masking import Column, applied, needs_key
from ..domain.plan import MaskingPlan
from ..engines import Engine
from ..errors import SpecInvalid
from ..secret_file import reader

KEY_BYTES = 16  # at least
_FIELD = "spec.masking.keySecretRef"


class Mask:
    """What a load runs in its transaction beside the dump; see ``MaskingEngine``.

    The rules are those that ``domain.masking.refusals`` has nothing against, for these columns of the source. Raises
    NotFound when the key's Secret is missing, SpecInvalid when the key is too short. In the load's transaction the
    database's comment gets the rules' digest, which only its owner may write.
    """

    def __init__(self, plan: MaskingPlan, engine: Engine, columns: Sequence[Column]) -> None:
        self._plan, self._engine, self._columns = plan, engine, columns
        self._key = _key(plan.key_file) if needs_key(plan.rules) else b""

    @property
    def columns_masked(self) -> int:
        """How many columns have a rule; that of a table counts once, with those of its partitions."""
        return len(self._plan.rules)

    def before_rows(self) -> bytes:
        """Statements for the time when all tables are there, without rows."""
        shuffled = [rule for rule in self._plan.rules if rule.how == "shuffle"]
        others = applied([rule for rule in self._plan.rules if rule.how != "shuffle"], self._columns)
        return self._engine.mask_before_rows(others, shuffled, self._key)

    def after_rows(self) -> bytes:
        """Statements for the time when all rows are in, and nothing is built from them yet."""
        return self._engine.mask_after_rows() + self._engine.mark_masked(self._plan.digest).encode()


def _key(path: str | None) -> bytes:
    try:
        key = reader("sync", "masking", _FIELD)(path).encode() if path else b""
    except UnicodeDecodeError as error:
        raise SpecInvalid(
            f"The key of {_FIELD} is no text.", remedy="Store it in the Secret in base64 or hexadecimal."
        ) from error
    if len(key) < KEY_BYTES:
        raise SpecInvalid(
            f"The key of {_FIELD} has {len(key)} bytes; {KEY_BYTES} are the least.",
            remedy="Store a longer one in the Secret, such as openssl rand -hex 32 prints.",
        )
    return key
