"""The key of the hashes, as a mask reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataguardian.domain.plan import MaskingPlan, MaskingRule
from dataguardian.engines import ENGINES
from dataguardian.errors import NotFound, SpecInvalid
from dataguardian.runner.masking import Mask

ENGINE = ENGINES["postgresql"]


def mask(key_file: Path | None) -> Mask:
    """A mask that needs a key."""
    rule = MaskingRule(schema="public", table="people", column="mail", how="hash")
    return Mask(MaskingPlan(digest="", rules=[rule], key_file=str(key_file) if key_file else None), ENGINE, [])


def test_a_mask_tells_the_key_in_no_form_that_has_it_as_it_is(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef\n")

    masking = mask(key)

    assert masking.columns_masked == 1
    assert b"0123456789abcdef" not in masking.before_rows() + masking.after_rows()


@pytest.mark.parametrize("content", [b"0123456789abcde\n", b"", b"\xff" * 32])
def test_a_key_that_is_short_or_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "key"
    key.write_bytes(content)

    with pytest.raises(SpecInvalid, match=r"spec\.masking\.keySecretRef"):
        mask(key)


def test_rules_that_need_a_key_are_not_applied_without_one() -> None:
    with pytest.raises(SpecInvalid, match=r"spec\.masking\.keySecretRef"):
        mask(None)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="'salt'"):
        mask(tmp_path / "salt")
