"""What the handlers are given: the services behind the API."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..history import History
from ..kube.client import Kubernetes
from ..queue import Queue
from ..settings import OperatorsSettings


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The services behind the API; each may be down at any time."""

    kube: Kubernetes
    history: History
    queue: Queue
    operators: OperatorsSettings = field(default_factory=OperatorsSettings)
