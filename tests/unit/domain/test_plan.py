"""A plan reaches the runner as it was made, and any other text is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain import plan as plans
from dataguardian.domain.plan import (
    BackupPlan,
    DatasourceProbe,
    Endpoint,
    EphemeralServer,
    FilesystemTarget,
    RestorePlan,
    RestoreSource,
    S3Target,
    StorageProbe,
)
from dataguardian.errors import ConfigInvalid

TEXT = st.text(max_size=60)
ENDPOINTS = st.builds(
    Endpoint,
    datasource=TEXT,
    engine=TEXT,
    host=TEXT,
    port=st.integers(1, 65535),
    database=TEXT,
    username_file=TEXT,
    password_file=TEXT,
    tls_mode=TEXT,
    ca_file=st.none() | TEXT,
)
TARGETS = st.builds(
    S3Target,
    location=TEXT,
    bucket=TEXT,
    prefix=TEXT,
    endpoint=st.none() | TEXT,
    region=TEXT,
    access_key_id_file=TEXT,
    secret_access_key_file=TEXT,
) | st.builds(FilesystemTarget, location=TEXT, root=TEXT, prefix=TEXT)
BACKUPS = st.builds(
    BackupPlan,
    execution_id=TEXT,
    execution_name=TEXT,
    namespace=TEXT,
    job_name=TEXT,
    job_uid=TEXT,
    folder=TEXT,
    source=ENDPOINTS,
    targets=st.lists(TARGETS, max_size=3),
    schemas=st.lists(TEXT, max_size=3),
)
RESTORES = st.builds(
    RestorePlan,
    execution_id=TEXT,
    execution_name=TEXT,
    namespace=TEXT,
    backup_execution_id=st.none() | TEXT,
    sources=st.lists(st.builds(RestoreSource, target=TARGETS, manifest_key=TEXT, read_only=st.booleans()), max_size=3),
    target=ENDPOINTS | st.builds(EphemeralServer, engine=TEXT, socket_dir=TEXT, data_dir=TEXT, username=TEXT),
    drop_existing=st.booleans(),
)
PROBES = st.builds(DatasourceProbe, source=ENDPOINTS) | st.builds(StorageProbe, target=TARGETS, read_only=st.booleans())


@settings(deadline=None)
@given(BACKUPS)
def test_a_backups_plan_arrives_as_it_was_made(plan: BackupPlan) -> None:
    assert plans.decode(plans.encode(plan), BackupPlan) == plan


@settings(deadline=None)
@given(RESTORES)
def test_a_restores_plan_arrives_as_it_was_made(plan: RestorePlan) -> None:
    assert plans.decode(plans.encode(plan), RestorePlan) == plan


@settings(deadline=None)
@given(PROBES)
def test_a_probes_plan_arrives_as_it_was_made(plan: DatasourceProbe | StorageProbe) -> None:
    assert plans.decode_probe(plans.encode(plan)) == plan


@settings(deadline=None)
@given(RESTORES)
def test_a_plan_for_something_else_is_refused(plan: RestorePlan) -> None:
    with pytest.raises(ConfigInvalid):
        plans.decode(plans.encode(plan), BackupPlan)
    with pytest.raises(ConfigInvalid):
        plans.decode_probe(plans.encode(plan))
