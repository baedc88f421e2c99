"""What holds for the project as a whole."""

import typing
from pathlib import Path

import pytest
import yaml

from dataguardian import errors
from dataguardian.codec import CODECS
from dataguardian.domain.manifest import CODEC_COMMAND, CODEC_SUFFIX
from dataguardian.engines import ENGINES
from dataguardian.handlers.triggers import GONE, SEEN
from dataguardian.kube.rbac import CONTROLLER_RULES, RESTORE, RESTORE_VERIFY, RULES
from dataguardian.resources import KINDS
from dataguardian.resources.backup import Codec
from dataguardian.resources.datasource import Engine
from dataguardian.resources.storage_location import StorageLocationSpec
from dataguardian.storage import STORAGES

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


def test_the_standard_librarys_operator_is_not_hidden() -> None:
    assert not (ROOT / "operator/__init__.py").exists()


def test_registries_and_models_name_the_same_things() -> None:
    assert set(CODECS) == set(typing.get_args(Codec)) == set(CODEC_SUFFIX) == set(CODEC_COMMAND)
    assert set(ENGINES) == set(typing.get_args(Engine))
    assert {typing.cast(typing.Any, target).__struct_config__.tag for target in STORAGES} <= set(
        StorageLocationSpec.model_fields
    )
    assert set(SEEN) == set(GONE) == {kind.plural for kind in KINDS}


def test_error_codes_are_not_taken_twice_and_each_is_documented() -> None:
    codes = [error.code for error in errors.every_error() if error.__module__ == errors.__name__]
    page = (ROOT / "docs/errors.md").read_text()

    assert len(set(codes)) == len(codes)
    assert [code for code in codes if f"`{code}`" not in page] == []


def test_the_controller_may_not_read_secrets_nor_write_what_people_write() -> None:
    for rule in CONTROLLER_RULES:
        assert "secrets" not in rule["resources"]
        assert "*" not in [*rule["resources"], *rule["verbs"], *rule["apiGroups"]]


def test_the_controller_may_verify_backups_and_not_restore_them() -> None:
    verbs = [verb for rule in CONTROLLER_RULES if "backupexecutions" in rule["resources"] for verb in rule["verbs"]]

    assert RESTORE_VERIFY in verbs
    assert RESTORE not in verbs


@pytest.mark.parametrize(
    ("verb", "holders"), [(RESTORE, {"admin"}), (RESTORE_VERIFY, {"admin", "verifier", "controller"})]
)
def test_the_verbs_of_restores_are_in_these_roles_alone(verb: str, holders: set[str]) -> None:
    assert {role for role, rules in RULES.items() for rule in rules if verb in rule["verbs"]} == holders


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_each_sample_can_be_read(sample: Path) -> None:
    models = {kind.name: kind.model for kind in KINDS}
    meta = {"namespace": "x", "uid": "u", "creationTimestamp": "2026-11-24T00:00:00Z"}
    for document in yaml.safe_load_all(sample.read_text()):
        if document["kind"] in models:
            model = models[document["kind"]]
            name = document["metadata"].get("name", "generated")
            resource = model.read({**document, "metadata": {**meta, "name": name}})
            assert set(document["spec"]) <= {field.alias for field in type(resource.spec).model_fields.values()}


def test_there_are_samples() -> None:
    assert SAMPLES
