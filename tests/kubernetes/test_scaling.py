"""KEDA's operator, a real Kafka, a router that measures, and a Prometheus: texts wait, and a model gets a pod.

Nothing runs in the cluster. The model's service is a process of this test, started where KEDA has asked for a pod.
"""

import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from conftest import Kafka, Redis
from sprat_contracts import Topics
from sprat_local.processes import logged_child
from sprat_local.processes.logged_child import LoggedChild
from sprat_local.processes.ports import free_ports
from support.cluster import NAMESPACE, PROGRAMS, Cluster, eventually
from support.helm import CHART, RELEASE, Object, environment, helm, needs
from support.keda import Keda, running_controllers, running_keda
from support.readme import ROOT
from support.secured_kafka import PASSWORD, USER, Keys, SecuredKafka
from support.stream import SECRET, made_topics, publish, settings_for

pytestmark = needs(*PROGRAMS, "keda", "prometheus")

PARTITIONS = 8
WAITING = 1_000
TEXT = b'{"text": "please move 20 euros to my savings account", "tasks": {"intent": {}}}'
LAG, AGE_S = 100, 5
MODEL = f"{RELEASE}-intent"


@dataclass
class Stream:
    """A Kafka with the installation's topics, a router, and a Prometheus that scrapes it."""

    topics: Topics
    bootstrap: str
    prometheus: str
    environment: dict[str, str]
    folder: Path

    def start(self, service: str, port: int, environment: dict[str, str] | None = None) -> LoggedChild:
        """Start a service, and return when it is ready."""
        argv = [sys.executable, "-m", f"sprat_{service}"]
        own = os.environ | (environment or self.environment) | {"SPRAT_HEALTH_PORT": str(port)}
        child = logged_child.start(service, argv, self.folder / f"{service}.log", env=own)
        child.wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 60)
        return child

    def value(self, query: str) -> float:
        """Return what Prometheus answers to a query for one number."""
        found = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": query}).json()["data"]["result"]
        return float(found[0]["value"][1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def stop(child: LoggedChild) -> None:
    child.process.terminate()
    child.process.wait(60)


@pytest.fixture
async def stream(kafka: Kafka, redis_server: Redis, prefix: str, tmp_path: Path) -> AsyncIterator[Stream]:
    topics = await made_topics(settings_for(kafka.bootstrap, prefix, partitions=PARTITIONS))
    router, prometheus = free_ports(2)
    environment = {
        "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "SPRAT_KAFKA__PREFIX": prefix,
        "SPRAT_KAFKA__PARTITIONS": str(PARTITIONS),
        "SPRAT_REDIS__URL": redis_server.url,
        "SPRAT_SECRET": SECRET,
        "SPRAT_POLICY": str(ROOT / "compose" / "policy.yaml"),
        "SPRAT_LAG_EVERY_S": "1",
    }
    found = Stream(topics, kafka.bootstrap, f"http://127.0.0.1:{prometheus}", environment, tmp_path)
    scraped = {"job_name": "sprat", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{router}"]}]}
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scraped]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(settings), "utf-8")
    argv = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
    ]
    children = [found.start("router", router), logged_child.start("prometheus", argv, tmp_path / "prometheus.log")]
    try:
        children[1].wait_until(lambda: answers(f"{found.prometheus}/-/ready"), 30)
        yield found
    finally:
        for child in children:
            stop(child)


@pytest.fixture(scope="module")
def keda(cluster: Cluster) -> Iterator[Keda]:
    with running_keda(cluster) as found:
        yield found


@contextmanager
def installed(cluster: Cluster, values: Object, folder: Path) -> Iterator[None]:
    """Install the chart; the model may have no pod, and everything is looked at every second."""
    fast = {
        "topics": {"create": False},
        "models": {"intent": {"replicas": {"min": 0}, "scaling": {"lag": LAG, "ageSeconds": AGE_S}}},
        "autoscaling": {"enabled": True, "pollingSeconds": 1, "cooldownSeconds": 3} | values.pop("autoscaling", {}),
    }
    # It holds a password, so it is no plain value.
    redis = f"--from-literal=redis={values.pop('redis', 'redis://127.0.0.1:1')}"
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(fast | values), "utf-8")
    where = {"KUBECONFIG": str(cluster.kubeconfig)}
    # KEDA reads the variables of what it scales, with the Secrets that they name.
    cluster.kubectl("create", "secret", "generic", "sprat", f"--from-literal=secret={SECRET}", redis)
    done = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(file), **where)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        helm("uninstall", RELEASE, "--namespace", NAMESPACE, **where)
        # KEDA takes its mark from each first; what has the same name would go with it.
        eventually(lambda: not cluster.get("scaledobjects")["items"])
        # What a cluster's garbage collector removes.
        cluster.kubectl("delete", "hpa,replicasets,pods", "--all", "--wait=false")
        cluster.kubectl("delete", "secret", "sprat")


def replicas(cluster: Cluster, name: str) -> int:
    return int(cluster.get("deployment", name)["spec"]["replicas"])


def wanted(cluster: Cluster, name: str) -> Object | None:
    """Return the specification of the HPA that KEDA has made for a service."""
    found = cluster.run("get", "hpa", f"keda-hpa-{name}")
    return cluster.get("hpa", f"keda-hpa-{name}")["spec"] if found.returncode == 0 else None


async def test_texts_that_wait_give_a_model_its_first_pod(
    cluster: Cluster, stream: Stream, keda: Keda, tmp_path: Path
) -> None:
    with installed(cluster, values_for(stream), tmp_path):
        await texts_wait_and_are_answered(cluster, stream, keda)


def values_for(stream: Stream) -> Object:
    """Return the values of a release that reads this stream."""
    settings = {
        "SPRAT_KAFKA__BOOTSTRAP": stream.bootstrap,
        "SPRAT_KAFKA__PREFIX": stream.topics.prefix,
        "SPRAT_KAFKA__PARTITIONS": PARTITIONS,
    }
    return {
        "settings": settings,
        "secrets": {"SPRAT_REDIS__URL": {"name": RELEASE, "key": "redis"}},
        "redis": stream.environment["SPRAT_REDIS__URL"],
        "autoscaling": {"prometheus": stream.prometheus},
    }


async def texts_wait_and_are_answered(cluster: Cluster, stream: Stream, keda: Keda) -> None:
    (port,) = free_ports(1)
    # A model has run before: it is announced, and its group has offsets.
    stop(stream.start("intent", port))

    hpa = eventually(lambda: wanted(cluster, MODEL))
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, PARTITIONS)
    assert hpa["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": MODEL}
    targets = {each["external"]["metric"]["name"]: each["external"]["target"] for each in hpa["metrics"]}
    (lag,) = [target for name, target in targets.items() if "kafka" in name]
    (age,) = [target for name, target in targets.items() if "prometheus" in name]
    assert lag == {"type": "AverageValue", "averageValue": str(LAG)}
    assert age == {"type": "Value", "value": str(AGE_S)}
    assert hpa["behavior"]["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 120}]

    # Nothing waits: no pod. The router stays.
    eventually(lambda: keda.metric(MODEL, "lag-texts") == 0 and replicas(cluster, MODEL) == 0)
    assert keda.metric(MODEL, "age") == 0
    # Of a service that has never run in this installation, nobody measures an age: it counts as 0.
    assert keda.metric(f"{RELEASE}-translation", "age") == 0
    assert condition(cluster, f"{RELEASE}-translation", "Ready") == "True"
    assert replicas(cluster, f"{RELEASE}-router") == 1

    # Texts wait: a metric from Kafka, one from the router's measurement, and a pod.
    await publish(stream.bootstrap, stream.topics.texts, [TEXT] * WAITING)
    eventually(lambda: replicas(cluster, MODEL) == 1)
    # KEDA wants no more replicas than there are partitions, however much waits.
    eventually(lambda: keda.metric(MODEL, "lag-texts") == LAG * PARTITIONS)
    eventually(lambda: (keda.metric(MODEL, "age") or 0) > AGE_S)
    (*_, trigger) = cluster.get("scaledobject", MODEL)["spec"]["triggers"]
    assert abs((keda.metric(MODEL, "age") or 0) - stream.value(trigger["metadata"]["query"])) < 5

    # The pod answers them, and goes again: a process with the variables of the Deployment.
    model = stream.start("intent", port, variables(cluster, MODEL))
    try:
        eventually(lambda: keda.metric(MODEL, "lag-texts") == 0)
        eventually(lambda: keda.metric(MODEL, "age") == 0)
        eventually(lambda: replicas(cluster, MODEL) == 0)
        # A router has triggers for all topics that it reads.
        eventually(lambda: keda.metric(f"{RELEASE}-router", "lag-predictions-intent") == 0)
    finally:
        stop(model)
    assert replicas(cluster, f"{RELEASE}-router") == 1


@needs("kube-controller-manager", "keda-adapter")
async def test_kubernetes_adds_pods_as_kedas_metrics_say(
    cluster: Cluster, stream: Stream, keda: Keda, tmp_path: Path
) -> None:
    with installed(cluster, values_for(stream), tmp_path), running_controllers(cluster, keda):
        stop(stream.start("intent", *free_ports(1)))
        # The router has committed nothing yet, and Kafka is full of other topics' records: they are not its own.
        eventually(lambda: len(pods(cluster, "intent")) == 0 and len(pods(cluster, "router")) == 1)
        assert keda.metric(f"{RELEASE}-router", "lag-texts") == 0
        await publish(stream.bootstrap, stream.topics.texts, [TEXT] * WAITING)
        # 0 to 1 by KEDA. The rest by Kubernetes: the metric asks for eight, and two more are allowed in a minute.
        eventually(lambda: len(pods(cluster, "intent")) == 3)
        hpa = cluster.get("hpa", f"keda-hpa-{MODEL}")["status"]
        (lag,) = [each["external"]["current"] for each in hpa["currentMetrics"] if "kafka" in str(each)]
        assert "averageValue" in lag
        limited = next(each for each in hpa["conditions"] if each["type"] == "ScalingLimited")
        assert (hpa["desiredReplicas"], limited["reason"]) == (3, "ScaleUpLimit")


def pods(cluster: Cluster, deployment: str) -> list[Object]:
    """Return the pods that controllers have made for a Deployment, and the restricted profile has let in."""
    found = cluster.get("pods", f"--selector=sprat.dev/deployment={deployment}")
    return list(found["items"])


def variables(cluster: Cluster, name: str) -> dict[str, str]:
    """Return the variables that a container of a Deployment would have."""
    found = environment(cluster.get("deployment", name)["spec"]["template"])
    for variable, value in found.items():
        if isinstance(value, dict):
            secret = cluster.get("secret", value["secretKeyRef"]["name"])["data"]
            found[variable] = base64.b64decode(secret[value["secretKeyRef"]["key"]]).decode()
    return found


def condition(cluster: Cluster, name: str, type: str) -> str | None:
    """Return the status of a condition of a ScaledObject."""
    found = cluster.get("scaledobject", name).get("status", {}).get("conditions", [])
    return next((each["status"] for each in found if each["type"] == type and each["status"] != "Unknown"), None)


@pytest.fixture(scope="module")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(Keys(tmp_path_factory.mktemp("keys"))) as broker:
        yield broker


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [("SASL_SSL", "SCRAM-SHA-512"), ("SASL_SSL", "PLAIN"), ("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SSL", None)],
)
async def test_keda_asks_a_secured_kafka_as_the_services_do(
    cluster: Cluster,
    secured_kafka: SecuredKafka,
    keda: Keda,
    protocol: str,
    mechanism: str | None,
    prefix: str,
    tmp_path: Path,
) -> None:
    """A model that has never run is started, one record for each partition, so that it can announce itself."""
    await made_topics(settings_for(secured_kafka.bootstrap, prefix, partitions=PARTITIONS))
    values: Object = {
        "settings": {
            "SPRAT_KAFKA__BOOTSTRAP": secured_kafka.address(protocol),
            "SPRAT_KAFKA__PREFIX": prefix,
            "SPRAT_KAFKA__SECURITY_PROTOCOL": protocol,
        }
    }
    if mechanism:
        values["settings"] |= {"SPRAT_KAFKA__SASL_MECHANISM": mechanism, "SPRAT_KAFKA__SASL_USERNAME": USER}
        values["secrets"] = {"SPRAT_KAFKA__SASL_PASSWORD": {"name": "files", "key": "password"}}
    if protocol.endswith("SSL"):
        values["certificates"] = {"ca": "files"} | ({} if mechanism else {"client": "files"})
    keys = secured_kafka.keys
    files = {"ca.crt": keys.broker, "tls.crt": keys.client, "tls.key": keys.client_key}
    content = [f"--from-file={name}={path}" for name, path in files.items()]
    cluster.kubectl("create", "secret", "generic", "files", f"--from-literal=password={PASSWORD}", *content)
    try:
        with installed(cluster, values, tmp_path):
            eventually(lambda: condition(cluster, MODEL, "Active") == "True")
            eventually(lambda: keda.metric(MODEL, "lag-texts") == PARTITIONS)
    finally:
        cluster.kubectl("delete", "secret", "files")
