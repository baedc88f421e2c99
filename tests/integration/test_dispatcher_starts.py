"""Starts that go half way: a broken webhook, an operator that died, objects that went, names that are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from dataguardian.kube.client import KubernetesUnavailable, jobs_path, objects_path
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.workers import dispatcher, recorder, sweep
from dataguardian.workers.context import Context, now
from dataguardian.workers.operations import RUN_KINDS

from .clients import until
from .conftest import NewContext
from .services import RedisServer
from .world import World

BACKUP = RUN_KINDS["backup"]
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


async def accepted(context: Context, world: World, *names: str) -> list[Any]:
    """Runs that wait, as the operator knows them."""
    await dispatcher.take_over(context)
    for name in names:
        await world.backup(name)
        run = await context.catalog.read(BACKUP_EXECUTION, world.namespace, name)
        assert run is not None
        await dispatcher.accept(context, BACKUP, run)
    return [context.catalog.known(BACKUP_EXECUTION, world.namespace, name) for name in names]


@asynccontextmanager
async def broken_webhook(world: World) -> AsyncIterator[None]:
    """The API server answers 500 to each Kubernetes Job that is created in the namespace."""
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    webhook = {
        "name": "broken.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": world.namespace},
        "webhooks": [webhook],
    }
    await world.kube.create(WEBHOOKS, body)
    try:
        await until(partial(refuses, world), what="the webhook is asked")
        yield
    finally:
        await world.kube.delete(f"{WEBHOOKS}/{world.namespace}")


async def refuses(world: World) -> bool:
    """Whether the API server knows the webhook."""
    container = {"name": "any", "image": "unused"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    meta = {"generateName": "any-", "namespace": world.namespace}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": template}}
    try:
        made = await world.kube.create(jobs_path(world.namespace), body)
    except KubernetesUnavailable:
        return True
    await world.kube.delete(jobs_path(world.namespace, made["metadata"]["name"]))
    return False


async def test_a_run_whose_kubernetes_job_cannot_be_made_holds_no_slot_and_waits_no_longer_than_the_deadline(
    world: World, new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new_context(max_concurrent=1)
    await world.stock("orders")
    async with broken_webhook(world):
        (run,) = await accepted(context, world, "first")

        await dispatcher.dispatch(context, BACKUP, run)

        assert (await world.ready("first"))["reason"] == "KubernetesUnavailable"
        assert context.slots.capacity().room == 1
        monkeypatch.setattr(dispatcher, "QUEUE_DEADLINE", timedelta(0))
        await dispatcher.dispatch_known(context, BACKUP, run)

    status = await world.status("first")
    assert (status["phase"], status["error"]["code"]) == ("Failed", "not-started")


async def test_a_half_started_run_goes_on_with_its_kubernetes_job_and_is_not_judged_again(
    world: World, new_context: NewContext
) -> None:
    """The operator before this one died between the Kubernetes Job and the status; its BackupJob is gone since."""
    await world.stock("orders")
    first = new_context()
    (run,) = await accepted(first, world, "first")
    await dispatcher.dispatch(first, BACKUP, run)
    status = {"phase": "Queued", "startTime": None, "datasource": None}
    await world.kube.patch(objects_path(BACKUP_EXECUTION, world.namespace, "first") + "/status", {"status": status})
    await world.delete("orders", BACKUP_JOB)

    second = new_context()
    await dispatcher.take_over(second)
    await sweep.sweep(second)

    found = await world.status("first")
    assert (found["phase"], found["datasource"]) == ("Running", "orders")
    assert not second.slots.is_starting(run.metadata.uid)


async def test_a_half_started_run_that_has_no_kubernetes_job_starts_afresh(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders")
    (run,) = await accepted(context, world, "first")
    context.slots.take_over(run)

    await sweep.sweep(context)

    assert (await world.status("first"))["phase"] == "Running"
    assert await world.jobs() == ["backup-first"]


@pytest.mark.parametrize("half_started", [True, False])
async def test_a_run_that_was_deleted_unseen_is_not_started_and_holds_no_slot(
    world: World, new_context: NewContext, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, half_started: bool
) -> None:
    context = new_context()
    await world.stock("orders")
    (run,) = await accepted(context, world, "first")
    if half_started:
        context.slots.take_over(run)
    else:
        own_redis.stop()
        monkeypatch.setattr(sweep, "QUEUE_AWAY_S", 0.0)
    await world.delete("first")

    await sweep.sweep(context)

    assert list(context.slots.open()) == []
    assert not context.slots.is_starting(run.metadata.uid)
    assert await world.jobs() == []


async def test_a_run_that_is_deleted_while_it_is_started_frees_its_slot(world: World, new_context: NewContext) -> None:
    context = new_context()
    await world.stock("orders")
    (run,) = await accepted(context, world, "first")
    await world.delete("first")

    await dispatcher.dispatch(context, BACKUP, run)

    assert list(context.slots.open()) == []
    assert not context.slots.is_starting(run.metadata.uid)


async def test_a_run_under_the_name_of_an_earlier_one_waits_until_its_kubernetes_job_is_gone(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders")
    (run,) = await accepted(context, world, "first")
    await dispatcher.dispatch(context, BACKUP, run)
    await world.delete("first")
    await recorder.forget(context, BACKUP, run)

    (again,) = await accepted(context, world, "first")
    await dispatcher.dispatch(context, BACKUP, again)

    assert (await world.ready("first"))["reason"] == "NameTaken"
    assert not context.slots.is_starting(again.metadata.uid)
    await world.kube.delete(jobs_path(world.namespace, "backup-first"))
    await dispatcher.dispatch_known(context, BACKUP, again)
    assert (await world.status("first"))["phase"] == "Running"


async def test_a_strangers_kubernetes_job_under_the_name_ends_the_run(world: World, new_context: NewContext) -> None:
    context = new_context()
    await world.stock("orders")
    (run,) = await accepted(context, world, "first")
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "any", "image": "unused"}]}}
    meta = {"name": "backup-first", "namespace": world.namespace}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": template}}
    await world.kube.create(jobs_path(world.namespace), body)

    await dispatcher.dispatch(context, BACKUP, run)

    assert (await world.status("first"))["error"]["code"] == "spec-invalid"
    assert not context.slots.is_starting(run.metadata.uid)


async def test_who_waits_for_a_datasource_is_no_longer_held_by_what_held_it_before(
    world: World, new_context: NewContext
) -> None:
    context = new_context()
    await world.stock("orders")
    first, second = await accepted(context, world, "first", "second")
    context.held_since[second.metadata.uid] = now()
    await dispatcher.dispatch(context, BACKUP, first)

    await dispatcher.dispatch(context, BACKUP, second)

    assert (await world.ready("second"))["reason"] == "LimitReached"
    assert context.held_since == {}
