"""A Kubernetes API server with etcd, without nodes and controllers: it admits, validates and stores, and nothing runs.

What a controller would do, a test does: it ends Jobs, and looks at what KEDA has asked for.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from sprat_local.processes import logged_child
from sprat_local.processes.logged_child import LoggedChild
from sprat_local.processes.ports import free_ports
from support.helm import Object, built, program

NAMESPACE = "sprat"
PROGRAMS = ("helm", "kube-apiserver", "etcd", "kubectl")
START_S = 120.0


@dataclass(frozen=True)
class Cluster:
    """What a test does with it."""

    kubeconfig: Path
    url: str
    token: str

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace."""
        return subprocess.run(
            [str(program("kubectl")), f"--kubeconfig={self.kubeconfig}", f"--namespace={NAMESPACE}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl and return what it prints."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr[-3000:]}"
        return done.stdout

    def get(self, *what: str) -> Object:
        """Return an object, or a list of them."""
        return dict(json.loads(self.kubectl("get", *what, "--output=json")))

    def dry_run(self, *objects: Object) -> subprocess.CompletedProcess[str]:
        """Let the server admit and validate objects, strictly, and store nothing."""
        text = "---\n".join(yaml.safe_dump(each) for each in objects)
        return self.run("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-", text=text)

    def end_job(self, name: str, *, failed: bool = False) -> None:
        """Say of a Job what the controller of Jobs would say once its pods have succeeded, or failed too often."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        types = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
        status: Object = {
            "startTime": now,
            "conditions": [
                {"type": type, "status": "True", "lastTransitionTime": now, "reason": "Test"} for type in types
            ],
            "uncountedTerminatedPods": {},
        }
        status |= {"failed": 1} if failed else {"succeeded": 1, "completionTime": now}
        patch = json.dumps({"status": status})
        self.kubectl("patch", "job", name, "--subresource=status", "--type=merge", f"--patch={patch}")


def eventually(look: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Return what `look` finds, once it finds something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing found within {timeout_s:g} s"
        time.sleep(0.2)
    return found


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start etcd and an API server with a namespace that enforces the restricted profile, and stop them at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sprat-kubernetes-"))
    client, peer, port = free_ports(3)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,1,system:masters\n", "utf-8")
    _make_certificate(folder)
    url = f"https://127.0.0.1:{port}"
    cluster = Cluster(folder / "kubeconfig", url, token)
    cluster.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url, token)), "utf-8")
    cluster.kubeconfig.chmod(0o600)
    children: list[LoggedChild] = []
    try:
        children.append(_start_etcd(folder, client, peer))
        children.append(_start_server(folder, client, port))
        children[-1].wait_until(lambda: _answers(url, token), START_S)
        _prepare(cluster)
        yield cluster
    finally:
        for child in reversed(children):
            child.process.terminate()
            child.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _make_certificate(folder: Path) -> None:
    """Make the server's certificate as a client of other servers, its own authority; its key signs tokens, too."""
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", "/CN=aggregator"]
    files = ["-keyout", str(folder / "own.key"), "-out", str(folder / "own.crt")]
    subprocess.run([*new, *files], check=True, capture_output=True)


def _start_etcd(folder: Path, client: int, peer: int) -> LoggedChild:
    clients, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    argv = [
        str(program("etcd")),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]
    # Debian's service has settings of its own in ETCD_ variables.
    own = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
    return logged_child.start("etcd", argv, folder / "etcd.log", env=own)


def _start_server(folder: Path, etcd: int, port: int) -> LoggedChild:
    key, certificate = folder / "own.key", folder / "own.crt"
    argv = [
        str(program("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # there is no controller that makes them
        # How it asks the server of KEDA's metrics in somebody's name.
        f"--proxy-client-cert-file={certificate}",
        f"--proxy-client-key-file={key}",
        f"--requestheader-client-ca-file={certificate}",
        "--requestheader-allowed-names=aggregator",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]
    return logged_child.start("kube-apiserver", argv, folder / "kube-apiserver.log")


def _answers(url: str, token: str) -> bool:
    try:
        found = httpx.get(f"{url}/readyz", headers={"authorization": f"Bearer {token}"}, verify=False)
    except httpx.HTTPError:
        return False
    return found.status_code == 200


def _prepare(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "priorityclass", "business", "--value=1000")
    cluster.kubectl("apply", "--server-side", f"--filename={built() / 'crds'}")
    names = [each["metadata"]["name"] for each in cluster.get("crd")["items"]]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))


def _kubeconfig(url: str, token: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
