"""Two namespaces, and who may do what in them: the callers of the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .apiserver import ApiServer
from .callers import chart_parts, token_of


class Tokens(dict[str, str | None]):
    """The token of each, made when it is first asked for.

    "viewer", or any other of the chart's roles, has it in the first namespace, "viewer elsewhere" in the second one,
    "viewer of all" in each; "no role" has none, "a stranger" no token of this cluster, and "nobody" no token.
    """

    def __init__(self, apiserver: ApiServer, here: str, there: str) -> None:
        super().__init__({"nobody": None, "a stranger": "no-token-of-this-cluster"})
        self._apiserver, self._here, self._there = apiserver, here, there

    def __missing__(self, who: str) -> str:
        role, _, where = who.partition(" ")
        namespace = self._there if where in ("elsewhere", "of all") else self._here
        token = token_of(
            self._apiserver,
            namespace,
            who.removesuffix(" elsewhere").replace(" ", "-"),
            role=role if who != "no role" else None,
            everywhere=where == "of all",
        )
        self[who] = token
        return token


@dataclass(frozen=True, kw_only=True)
class People:
    """The namespaces, and the tokens by who has them."""

    apiserver: ApiServer
    here: str
    there: str
    tokens: Tokens = field(repr=False)


@contextmanager
def people(apiserver: ApiServer) -> Iterator[People]:
    """The chart's roles and admission policies hold inside this block."""
    here, there = apiserver.namespace(), apiserver.namespace()
    with chart_parts(apiserver, "roles", "admission"):
        yield People(apiserver=apiserver, here=here, there=there, tokens=Tokens(apiserver, here, there))
    for namespace in (here, there):
        without_runs(apiserver, namespace)


def without_runs(apiserver: ApiServer, namespace: str) -> None:
    """Delete the runs of a namespace: those that seem to go on take room from the runs of other tests' operators."""
    apiserver.kubectl("delete", "backupexecutions,restorerequests,databasesyncexecutions", "--all", "-n", namespace)
