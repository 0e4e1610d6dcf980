"""KEDA's operator against an API server without nodes: it looks at triggers, makes HPAs, and scales from and to 0."""

import base64
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from sprat_local.processes import logged_child
from sprat_local.processes.logged_child import LoggedChild
from sprat_local.processes.ports import free_ports
from support.cluster import Cluster, eventually
from support.helm import program

NAMESPACE = "keda"
CERTIFICATES = "kedaorg-certs"


@dataclass(frozen=True)
class Keda:
    """A running operator."""

    port: int

    def metric(self, scaled: str, trigger: str) -> float | None:
        """Return what the operator has last found for a trigger of a ScaledObject; None: nothing yet."""
        try:
            page = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        except httpx.HTTPError:
            return None
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = sample.labels
                if (
                    sample.name == "keda_scaler_metrics_value"
                    and labels["scaledObject"] == scaled
                    and trigger in labels["scaler"]
                ):
                    return float(sample.value)
        return None


@contextmanager
def running_keda(cluster: Cluster) -> Iterator[Keda]:
    """Start the operator, and stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sprat-keda-"))
    certificates = folder / "certificates"
    certificates.mkdir()
    metrics, health, service = free_ports(3)
    cluster.kubectl("create", "namespace", NAMESPACE)
    child = None
    try:
        first = _start(cluster, folder, certificates, (metrics, health, service))
        # It makes its certificates at its first start, and ends: in a cluster, the Secret is mounted then.
        secret = eventually(lambda: _certificates(cluster))
        for name, content in secret.items():
            (certificates / name).write_bytes(base64.b64decode(content))
        with contextlib.suppress(ProcessLookupError):
            first.process.terminate()
        first.process.wait()
        child = _start(cluster, folder, certificates, (metrics, health, service))
        child.wait_until(lambda: _ready(health), 60)
        yield Keda(metrics)
    finally:
        if child is not None:
            child.process.terminate()
            child.process.wait()
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        shutil.rmtree(folder, ignore_errors=True)


def _start(cluster: Cluster, folder: Path, certificates: Path, ports: tuple[int, int, int]) -> LoggedChild:
    metrics, health, service = ports
    argv = [
        str(program("keda")),
        f"--metrics-bind-address=127.0.0.1:{metrics}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
        f"--metrics-service-bind-address=127.0.0.1:{service}",
        f"--cert-dir={certificates}",
        "--enable-cert-rotation",
        "--enable-webhook-patching=false",
        "--enable-apiservice-patching=false",
    ]
    own = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "POD_NAMESPACE": NAMESPACE,
        "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
        "WATCH_NAMESPACE": "",
    }
    return logged_child.start("keda", argv, folder / "keda.log", env=os.environ | own)


def _certificates(cluster: Cluster) -> dict[str, str] | None:
    found = cluster.run("get", "secret", CERTIFICATES, f"--namespace={NAMESPACE}", "--output=json")
    if found.returncode:
        return None
    data: dict[str, str] | None = cluster.get("secret", CERTIFICATES, f"--namespace={NAMESPACE}").get("data")
    return data


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.HTTPError:
        return False
