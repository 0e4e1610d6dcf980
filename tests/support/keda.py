"""KEDA's operator against an API server without nodes: it looks at triggers, makes HPAs, and scales from and to 0."""

import base64
import contextlib
import json
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
from support.helm import Object, program

NAMESPACE = "keda"
CERTIFICATES = "kedaorg-certs"
API = "v1beta1.external.metrics.k8s.io"


@dataclass(frozen=True)
class Keda:
    """A running operator."""

    port: int
    certificates: Path
    service: int
    """The port at which it tells its metrics to its own server of metrics."""

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
        yield Keda(metrics, certificates, service)
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


@contextmanager
def running_controllers(cluster: Cluster, keda: Keda) -> Iterator[None]:
    """Start KEDA's server of metrics, and the controllers of Kubernetes that make pods; stop them at the end.

    The pods wait for a node for ever.
    """
    folder = Path(tempfile.mkdtemp(prefix="sprat-controllers-"))
    metrics, port, page = free_ports(3)
    for each in (_service(port), _registration(port)):
        cluster.kubectl("apply", f"--namespace={NAMESPACE}", "--server-side", "--filename=-", text=json.dumps(each))
    children: list[LoggedChild] = []
    try:
        children.append(_start_adapter(cluster, keda, folder, (port, page)))
        cluster.kubectl("wait", "--for=condition=Available", "--timeout=60s", f"apiservice/{API}")
        argv = [
            str(program("kube-controller-manager")),
            f"--kubeconfig={cluster.kubeconfig}",
            "--controllers=deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller",
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={metrics}",
            f"--cert-dir={folder / 'certificates'}",
        ]
        children.append(logged_child.start("kube-controller-manager", argv, folder / "controllers.log"))
        yield
    finally:
        for child in reversed(children):
            child.process.terminate()
            child.process.wait()
        cluster.kubectl("delete", "apiservice", API)
        shutil.rmtree(folder, ignore_errors=True)


def _start_adapter(cluster: Cluster, keda: Keda, folder: Path, ports: tuple[int, int]) -> LoggedChild:
    port, page = ports
    argv = [
        str(program("keda-adapter")),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--port={page}",
        f"--metrics-service-address=127.0.0.1:{keda.service}",
        f"--metrics-service-grpc-authority=keda-operator.{NAMESPACE}.svc",
        f"--cert-dir={keda.certificates}",
        f"--client-ca-file={keda.certificates / 'ca.crt'}",
        f"--tls-cert-file={keda.certificates / 'tls.crt'}",
        f"--tls-private-key-file={keda.certificates / 'tls.key'}",
        *(f"--{use}-kubeconfig={cluster.kubeconfig}" for use in ("authentication", "authorization", "lister")),
    ]
    own = {"KUBECONFIG": str(cluster.kubeconfig), "POD_NAMESPACE": NAMESPACE, "WATCH_NAMESPACE": ""}
    return logged_child.start("keda-adapter", argv, folder / "adapter.log", env=os.environ | own)


def _service(port: int) -> Object:
    """Return the Service of KEDA's metrics; there is no network of pods, so it names this machine."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "keda-metrics-apiserver", "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]},
    }


def _registration(port: int) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "keda-metrics-apiserver", "namespace": NAMESPACE, "port": port},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
