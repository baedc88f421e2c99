"""An S3 server of one test, which it may stop, kill and start again with its data."""

from __future__ import annotations

from .cluster import JSON
from .services import RESTRICTED, S3_KEY_ID, S3_SECRET_KEY, service
from .shop import Shop

NAME, CLAIM, USER = "store", "store-data", 1000


class OwnStore:
    """One pod that stays dead when it is killed, and a volume that outlives it."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    @property
    def endpoint(self) -> str:
        return f"http://{NAME}.{self._shop.namespace}.svc:7070"

    def start(self) -> None:
        """Serve; the bucket of the shop is there."""
        shop = self._shop
        shop.cluster.apply(*self._objects())
        shop.cluster.kubectl("wait", "-n", shop.namespace, "--for=condition=Ready", f"pod/{NAME}", "--timeout=120s")
        shop.cluster.inside(shop.namespace, NAME, "mkdir", "-p", f"/data/{shop.bucket}")

    def stop(self) -> None:
        self._shop.cluster.kubectl("delete", "-n", self._shop.namespace, f"pod/{NAME}", "--grace-period=1")

    def kill(self) -> None:
        self._shop.cluster.kill(command="versitygw", environment=f"STORE_OF={self._shop.namespace}")

    def files(self) -> list[str]:
        return self._shop.services.files(self._shop.bucket, NAME, self._shop.namespace)

    def uploads(self) -> list[str]:
        return self._shop.services.uploads(self._shop.bucket, NAME, self._shop.namespace)

    def _objects(self) -> list[JSON]:
        env = {"ROOT_ACCESS_KEY": S3_KEY_ID, "ROOT_SECRET_KEY": S3_SECRET_KEY, "STORE_OF": self._shop.namespace}
        pod = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": NAME,
                    "image": "localhost/dataguardian-s3:1",
                    "env": [{"name": key, "value": value} for key, value in env.items()],
                    "securityContext": RESTRICTED,
                    "readinessProbe": {"tcpSocket": {"port": 7070}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}},
                {"name": "tmp", "emptyDir": {}},
            ],
        }
        meta = {"namespace": self._shop.namespace}
        claimed = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        return [
            service(self._shop.namespace, NAME, 7070),
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {**meta, "name": CLAIM}, "spec": claimed},
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**meta, "name": NAME, "labels": {"app": NAME}},
                "spec": pod,
            },
        ]
