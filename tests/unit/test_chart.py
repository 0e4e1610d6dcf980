"""The Helm chart: what its values name is used and documented, and what it renders to is what the pages promise.

Tests that render need helm and are skipped without it. Those on a real API server are in tests/kubernetes.
"""

import copy
import ipaddress
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import promql_parser
import pytest
import yaml

from sprat.base.settings import section_prefix
from sprat.kafka.lag import topics_read_by
from sprat.runtime import CLOSE_S
from sprat.telemetry import attributes, signals
from sprat.telemetry.instruments import prometheus_name
from sprat_contracts import TASKS, Topics
from sprat_policy import load_task_file
from support.helm import (
    CHART,
    RELEASE,
    VALUES,
    VERSION,
    Object,
    environment,
    helm,
    needs,
    of_kind,
    pod_templates,
    refusal,
    rendering,
    template,
)
from support.readme import CONFIGURATION, DOCS, ROOT
from support.yaml_files import LOADER, load_yaml

DEFAULTS: dict[str, Any] = load_yaml((CHART / "values.yaml").read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
TEMPLATES = {path.name: path.read_text("utf-8") for path in sorted((CHART / "templates").iterdir())}
PAGE = (DOCS / "deploy" / "kubernetes.md").read_text("utf-8")
DOCKERFILE = (ROOT / "compose" / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = load_yaml((ROOT / "compose" / "compose.yaml").read_text("utf-8"))["services"]
SERVICES = ("router", "frontier", "intent", "ner", "translation")
GUARDIAN = "guardian"
"""Has a fixed number of replicas, as the gateway has."""
GATEWAY = "gateway"
"""Runs where it is enabled, as in `production.yaml`."""
FREE = {"settings", "secrets", "resources", "scaling", "labels", "annotations", "tasks"}
"""Values with fields that the user names, or that Kubernetes does."""
SET_BY_THE_CHART = {
    "SPRAT_POLICY",
    "SPRAT_KAFKA__SSL_CAFILE",
    "SPRAT_KAFKA__SSL_CERTFILE",
    "SPRAT_KAFKA__SSL_KEYFILE",
    "SPRAT_CLASSIFY__TASK",
    "SPRAT_TASKS",
    "SPRAT_KAFKA__INSTANCE_ID",  # not at all: pods of a Deployment have no lasting names
    "SPRAT_KAFKA__MEMBERSHIP_FILE",
    *(f"SPRAT_GATEWAY__{each}" for each in ("HOST", "PORT", "KEYS_FILE", "DATA", "TLS_CERT", "TLS_KEY")),
} | {f"{section_prefix(service)}{setting}" for service in (*TASKS, "classify") for setting in ("MODEL", "THRESHOLDS")}
SECRET = {
    "SPRAT_SECRET",
    "SPRAT_PREVIOUS_SECRET",
    "SPRAT_KAFKA__SASL_PASSWORD",
    "SPRAT_FRONTIER__API_KEY",
    "SPRAT_AUDIT__KEY",
    "SPRAT_AUDIT__KEY_FILE",
    "SPRAT_AUDIT__KAFKA",
    "SPRAT_GATEWAY__SEAL_KEY",
}
"""Never in `settings`: values files are read by many."""
AGE, GROUP = prometheus_name(signals.GROUP_AGE.name, signals.GROUP_AGE.unit), attributes.GROUP.name.replace(".", "_")
AIR_GAPPED, LAPTOP, PRODUCTION = VALUES

rendered = needs("helm")
each_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


def paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted paths of all values; those of services are `SERVICE.tag`."""
    found = []
    for name, value in values.items():
        own = "SERVICE" if not prefix and name in {"router", "frontier"} else name
        if not prefix and name == "models":
            found += [path for model in value.values() for path in paths(model, "SERVICE.")]
        elif isinstance(value, dict) and value and name not in FREE:
            found += paths(value, f"{prefix}{own}.")
        else:
            found.append(prefix + own)
    return sorted(set(found))


@pytest.fixture(scope="module")
def production() -> list[Object]:
    return template("--values", str(PRODUCTION))


# What needs no helm.


def test_files_of_other_folders_are_links_so_that_there_is_one_source() -> None:
    links = {
        "alerts": ROOT / "observability/alerts",
        "rules": ROOT / "observability/prometheus/rules",
        "dashboards": ROOT / "observability/grafana/dashboards",
        "policy.yaml": ROOT / "compose/policy.yaml",
        "texts.jsonl": ROOT / "compose/samples/texts.jsonl",
    }
    found = {path.name: path for path in (CHART / "files").iterdir()}
    assert found.keys() == links.keys()
    for name, path in found.items():
        assert path.is_symlink(), name
        assert path.resolve() == links[name], name


def test_settings_are_those_of_the_page_on_configuration() -> None:
    documented = set(re.findall(r"^\| `(SPRAT_(?!SIMULATOR_)\w+)`", CONFIGURATION.read_text("utf-8"), re.MULTILINE))
    allowed = {
        kind: set(SCHEMA["definitions"][kind]["propertyNames"]["anyOf"][0]["enum"]) for kind in ("settings", "secrets")
    }
    assert allowed["secrets"] == documented - SET_BY_THE_CHART
    assert allowed["settings"] == documented - SET_BY_THE_CHART - SECRET


def test_every_value_is_in_the_schema_with_its_default() -> None:
    jsonschema.validate(DEFAULTS, SCHEMA)
    # Without free fields: one that values.yaml does not name cannot be set.
    assert SCHEMA["properties"].keys() - {"global"} == DEFAULTS.keys()


def test_the_page_documents_the_values_and_no_others() -> None:
    table = PAGE[PAGE.index("## Values") :]
    table = table[: table.index("\n## ", 1)]
    documented = {
        name for row in re.findall(r"^\|([^|]*)\|", table, re.MULTILINE) for name in re.findall(r"`(.*?)`", row)
    }
    assert documented == set(paths(DEFAULTS))


def test_no_value_and_no_template_names_a_host_of_images() -> None:
    assert DEFAULTS["images"]["prefix"] == "sprat"
    for name, text in TEMPLATES.items():
        for image in re.findall(r"\bimage: (.*)", text):
            assert image.startswith('{{ include "sprat.image"'), f"{name}: {image}"
    for path in VALUES:
        own = load_yaml(path.read_text("utf-8"))
        own.get("images", {}).pop("prefix", None)
        assert not re.search(r"registry\.|docker\.io|ghcr\.io|quay\.io", json.dumps(own)), path.name


def test_the_simulator_answers_as_that_of_the_compose_file() -> None:
    compose = COMPOSE["simulator"]["environment"]
    chart = dict(re.findall(r"name: (SPRAT_SIMULATOR_\w+), value: \"?([^\"}]+)\"?}", TEMPLATES["simulator.yaml"]))
    assert chart.keys() == compose.keys()
    for name in chart.keys() - {"SPRAT_SIMULATOR_GOLD"}:
        assert chart[name] == re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(compose[name]))


def test_memory_is_what_was_measured_and_its_limit_is_that_of_the_containers() -> None:
    machine_mb = figures("machine")["rss_mb"]
    peak_mb = figures("sizing")["memory_peak_mb"]
    services = DEFAULTS["models"] | {name: DEFAULTS[name] for name in ("router", "frontier")}
    assert services.keys() == machine_mb.keys()
    measured_mb = {name: max(machine_mb[name], peak_mb[name]) for name in services}
    for name, service in services.items():
        resources = service["resources"]
        requested_mb = int(resources["requests"]["memory"].removesuffix("Mi")) * 1.048576
        assert measured_mb[name] <= requested_mb <= 2 * measured_mb[name], name
        assert resources["limits"]["memory"] == COMPOSE[name]["mem_limit"].replace("m", "Mi"), name
        assert "cpu" not in resources["limits"], name


def test_the_lag_of_a_model_is_what_one_core_answers_in_2_to_8_seconds() -> None:
    cpu_s = {row["kind"]: row["cpu_s_per_1000"][row["service"]] / 1000 for row in figures("sizing")["rows"]}
    for name, model in DEFAULTS["models"].items():
        assert 2 <= model["scaling"]["lag"] * cpu_s[name] <= 8, name


def figures(name: str) -> dict[str, Any]:
    """Return the measurements that a page of the documents shows."""
    found: dict[str, Any] = json.loads((DOCS / "figures" / f"{name}.json").read_text("utf-8"))
    return found


# What the chart renders to.

CHANGED: dict[str, tuple[str, str]] = {
    "images.prefix": ('images.prefix="registry.example/team/sprat"', "image: registry.example/team/sprat/"),
    "images.tag": ('images.tag="0.0.7"', "/intent:0.0.7"),
    "images.pullPolicy": ('images.pullPolicy="Always"', "imagePullPolicy: Always"),
    "images.pullSecrets": ('images.pullSecrets=["registry"]', "- name: registry"),
    "settings": ("settings.OTEL_SDK_DISABLED=true", "OTEL_SDK_DISABLED"),
    "secrets": ('secrets.SPRAT_SECRET.name="of-all"', '"name":"of-all"'),
    "certificates.ca": ('certificates.ca="authority"', "secretName: authority"),
    "certificates.client": ('certificates.client="mutual"', "secretName: mutual"),
    "policy": ('policy="tasks: {intent: {keep_at: 0.77}}"', "keep_at: 0.77"),
    "tierThresholds": ('tierThresholds={"house.intent": "{}"}', "path: thresholds/house.intent.json"),
    "signingKeys": ('signingKeys={"CRM_KEY": {"name": "crm", "key": "signing"}}', '"name":"crm"'),
    "doorKeys": ('doorKeys={"CRM_DOOR": {"name": "crm-door", "key": "signing"}}', '"name":"crm-door"'),
    "tasks": ('tasks={"desk": {"kind": "pii"}}', "desk.yaml"),
    "modelsVolume": ('modelsVolume={"persistentVolumeClaim": {"claimName": "models"}}', '"claimName":"models"'),
    "checkpointsVolume": (
        'checkpointsVolume={"persistentVolumeClaim": {"claimName": "audited"}}',
        '"claimName":"audited"',
    ),
    "SERVICE.tag": ('router.tag="0.0.8"', "/router:0.0.8"),
    "SERVICE.replicas.min": ("router.replicas.min=2", "minReplicaCount: 2"),
    "SERVICE.replicas.max": ("router.replicas.max=4", "maxReplicaCount: 4"),
    "SERVICE.resources": ("router.resources.limits.cpu=3", '"cpu":3'),
    "SERVICE.settings": ("router.settings.SPRAT_LAG_EVERY_S=5", "SPRAT_LAG_EVERY_S"),
    "SERVICE.secrets": ('router.secrets.OTEL_EXPORTER_OTLP_HEADERS={"name": "a", "key": "b"}', "OTLP_HEADERS"),
    "SERVICE.scaling": ("router.scaling.lag=5", 'lagThreshold: "5"'),
    "SERVICE.task": ('models.translation.task="ner"', "consumerGroup: sprat.translation.default"),
    "SERVICE.model": ('models.intent.model="other"', "consumerGroup: sprat.intent.other"),
    "SERVICE.thresholds": (
        'models.intent.thresholds="measured"',
        '"name":"SPRAT_INTENT__THRESHOLDS","value":"/etc/sprat/thresholds/thresholds.json"',
    ),
    "guardian.tag": ('guardian.tag="0.0.4"', "/guardian:0.0.4"),
    "guardian.replicas": ("guardian.replicas=5", "replicas: 5"),
    "guardian.resources": ("guardian.resources.limits.cpu=11", '"cpu":11'),
    "guardian.settings": ('guardian.settings.OTEL_SERVICE_VERSION="4"', "OTEL_SERVICE_VERSION"),
    "guardian.secrets": (
        'guardian.secrets.SPRAT_KAFKA__SASL_PASSWORD={"name": "guards", "key": "b"}',
        '"name":"guards"',
    ),
    "gateway.tag": ('gateway.tag="0.0.5"', "/gateway:0.0.5"),
    "gateway.replicas": ("gateway.replicas=3", "replicas: 3"),
    "gateway.keys.name": ('gateway.keys.name="callers"', "secretName: callers"),
    "gateway.keys.key": ('gateway.keys.key="callers.json"', "/etc/sprat/keys/callers.json"),
    "gateway.tls": ('gateway.tls="served"', "secretName: served"),
    "gateway.ingress.className": ('gateway.ingress.className="nginx"', "ingressClassName: nginx"),
    "gateway.ingress.host": ('gateway.ingress.host="texts.example"', "host: texts.example"),
    "gateway.ingress.tls": ('gateway.ingress.tls="outside"', "secretName: outside"),
    "gateway.ingress.annotations": ('gateway.ingress.annotations.other="routed"', '"other":"routed"'),
    "gateway.resources": ("gateway.resources.limits.cpu=9", '"cpu":9'),
    "gateway.settings": ('gateway.settings.SPRAT_GATEWAY__PAGE="on"', '"SPRAT_GATEWAY__PAGE","value":"on"'),
    "gateway.secrets": ('gateway.secrets.SPRAT_GATEWAY__SEAL_KEY={"name": "seals", "key": "b"}', '"name":"seals"'),
    "networkPolicy.gateway": (
        'networkPolicy.gateway=[{"from": [{"ipBlock": {"cidr": "192.0.2.4/32"}}]}]',
        "192.0.2.4/32",
    ),
    "simulator.tag": ('simulator.tag="0.0.9"', "/simulator:0.0.9"),
    "simulator.resources": ("simulator.resources.limits.cpu=7", '"cpu":7'),
    "cli.tag": ('cli.tag="0.0.6"', "/cli:0.0.6"),
    "cli.settings": ('cli.settings.SPRAT_KAFKA__SASL_USERNAME="operator-7"', "operator-7"),
    "cli.secrets": ('cli.secrets.SPRAT_KAFKA__SASL_PASSWORD={"name": "operator-8", "key": "b"}', "operator-8"),
    "topics.replicationFactor": ("topics.replicationFactor=3", "--replication-factor"),
    "pods.annotations": ('pods.annotations.other="noted"', "other: noted"),
    "pods.nodeSelector": ('pods.nodeSelector.disk="ssd"', '"disk":"ssd"'),
    "pods.tolerations": ('pods.tolerations=[{"key": "spot"}]', '"key":"spot"'),
    "pods.priorityClassName": ('pods.priorityClassName="business"', "priorityClassName: business"),
    "pods.whenUnsatisfiable": ('pods.whenUnsatisfiable="DoNotSchedule"', "whenUnsatisfiable: DoNotSchedule"),
    "autoscaling.prometheus": ('autoscaling.prometheus="http://other:9090"', 'serverAddress: "http://other:9090"'),
    "autoscaling.pollingSeconds": ("autoscaling.pollingSeconds=7", "pollingInterval: 7"),
    "autoscaling.cooldownSeconds": ("autoscaling.cooldownSeconds=8", "cooldownPeriod: 8"),
    "networkPolicy.egress": ('networkPolicy.egress=[{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}]', "192.0.2.1/32"),
    "networkPolicy.ingress": (
        'networkPolicy.ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.2/32"}}]}]',
        "192.0.2.2/32",
    ),
    "monitoring.labels": ('monitoring.labels.other="watched"', "other: watched"),
    "monitoring.interval": ('monitoring.interval="5s"', "interval: 5s"),
    "monitoring.runbooks": ('monitoring.runbooks="https://other"', "https://other"),
    "monitoring.settings": ("monitoring.settings.late_seconds=77", "vector(77)"),
    "dashboards.labels": ('dashboards.labels.other="shown"', "other: shown"),
    "dashboards.annotations": ('dashboards.annotations.other="filed"', "other: filed"),
}
SWITCHED_OFF = {
    "guardian.enabled": ("guardian.enabled=false", "image: sprat/guardian:"),
    "gateway.enabled": ("gateway.enabled=false", "image: sprat/gateway:"),
    "topics.create": ("topics.create=false", "kind: Job"),
    "autoscaling.enabled": ("autoscaling.enabled=false", "kind: ScaledObject"),
    "networkPolicy.enabled": ("networkPolicy.enabled=false", "kind: NetworkPolicy"),
    "monitoring.enabled": ("monitoring.enabled=false", "kind: PodMonitor"),
    "dashboards.enabled": ("dashboards.enabled=false", "grafana_dashboard:"),
}
ALONE = {
    # A volume is for one replica.
    "gateway.store": (
        'gateway.store={"persistentVolumeClaim": {"claimName": "kept"}}',
        '"claimName":"kept"',
    ),
    "gateway.ingress.enabled": ("gateway.ingress.enabled=false", "kind: Ingress"),
}
WITHOUT_SIMULATOR = {
    "simulator.enabled": ("simulator.enabled=false", "image: sprat/simulator:"),
    # The simulator takes the place of what this one is for.
    "networkPolicy.frontier": (
        'networkPolicy.frontier=[{"to": [{"ipBlock": {"cidr": "192.0.2.3/32"}}]}]',
        "192.0.2.3/32",
    ),
}
"""Each value → another content than `EVERYTHING` has, and a text that is rendered with one of the two contents only.
Each text belongs to its value alone, so that one rendering is enough for all of a table."""
EVERYTHING = [
    f"--set-json={each}"  # as the tables: helm lets --set go before --set-json, whatever their order
    for each in (
        'settings.SPRAT_KAFKA__BOOTSTRAP="kafka:9092"',
        'autoscaling={"enabled": true, "prometheus": "http://prometheus:9090"}',
        "monitoring.enabled=true",
        "dashboards.enabled=true",
        "simulator.enabled=true",
        "gateway.enabled=true",
        'gateway.ingress={"enabled": true, "host": "sprat.example"}',
        'modelsVolume={"persistentVolumeClaim": {"claimName": "default"}}',
    )
]


@rendered
def test_every_value_is_used() -> None:
    tables = (CHANGED, SWITCHED_OFF, ALONE, WITHOUT_SIMULATOR)
    assert sorted(name for table in tables for name in table) == paths(DEFAULTS)
    before = rendering(*EVERYTHING)
    for table in tables:
        after = rendering(*EVERYTHING, *(f"--set-json={option}" for option, _ in table.values()))
        for name, (_, text) in table.items():
            assert (text in before) != (text in after), f"{name} changes nothing"


@rendered
@each_values
def test_it_lints(values: Path) -> None:
    done = helm("lint", "--strict", "--kube-version", VERSION, str(CHART), "--values", str(values))
    assert done.returncode == 0, done.stdout


@rendered
@each_values
def test_images_ports_volumes_and_variables_are_used_and_declared(values: Path) -> None:
    objects = template("--values", str(values))
    pods = pod_templates(objects)
    assert len(pods) >= len(SERVICES) + 2
    known = set(re.findall(r"`((?:SPRAT|OTEL)_\w+)`", CONFIGURATION.read_text("utf-8")))
    for name, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        target = container["image"].rpartition("/")[2].partition(":")[0]
        assert f" AS {target}\n" in DOCKERFILE, name
        volumes = {each["name"] for each in pod["spec"]["volumes"]}
        assert volumes == {each["name"] for each in container["volumeMounts"]}, name
        ports = {each["name"] for each in container.get("ports", [])}
        probed = {container[probe]["httpGet"]["port"] for probe in container if probe.endswith("Probe")}
        assert ports - probed == ({"http"} if target == GATEWAY else set()), name
        if target != "simulator":
            assert {each for each in environment(pod) if each.startswith("SPRAT")} <= known, name
        config_maps = {each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each}
        assert config_maps <= of_kind(objects, "ConfigMap").keys(), name


@rendered
@each_values
def test_a_pod_has_no_rights_and_time_to_stop(values: Path) -> None:
    for name, pod in pod_templates(template("--values", str(values))).items():
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        # A Service `sprat-health` would set SPRAT_HEALTH_PORT to an address.
        assert pod["spec"]["enableServiceLinks"] is False, name
        assert "memory" in container["resources"]["limits"], name
        if name.startswith("Deployment") and "simulator" not in name:
            drain_s = float(environment(pod)["SPRAT_DRAIN_S"])
            assert pod["spec"]["terminationGracePeriodSeconds"] >= drain_s + CLOSE_S + 5, name


@rendered
@each_values
def test_a_drained_node_takes_one_pod_of_a_service_at_a_time(values: Path) -> None:
    objects = template("--values", str(values))
    budgets = of_kind(objects, "PodDisruptionBudget")
    # The simulator is for trials.
    deployments = {name: each for name, each in of_kind(objects, "Deployment").items() if "simulator" not in name}
    assert budgets.keys() == deployments.keys()
    for name, each in deployments.items():
        assert budgets[name]["spec"]["selector"] == each["spec"]["selector"], name
        assert budgets[name]["spec"]["maxUnavailable"] == 1, name


@rendered
def test_pods_are_spread_over_the_nodes_that_take_pods(production: list[Object]) -> None:
    for name, each in of_kind(production, "Deployment").items():
        zones, nodes = sorted(
            each["spec"]["template"]["spec"]["topologySpreadConstraints"],
            key=lambda one: one["whenUnsatisfiable"],
            reverse=True,
        )
        assert (zones["topologyKey"], zones["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "ScheduleAnyway")
        assert (nodes["topologyKey"], nodes["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
        for constraint in (zones, nodes):
            assert constraint["nodeTaintsPolicy"] == "Honor", name
            assert constraint["labelSelector"] == each["spec"]["selector"], name


@rendered
def test_what_helm_leaves_after_an_uninstall_is_found_by_the_command_of_the_page() -> None:
    command = re.search(r"delete (\S+) --selector (\S+)=(\S+)", PAGE[PAGE.index("## Uninstall") :])
    assert command
    kinds, label, release = command.groups()
    hooks = [each for each in template("--values", str(LAPTOP)) if "helm.sh/hook" in str(each["metadata"])]
    assert {each["kind"].lower() for each in hooks} == set(kinds.split(","))
    assert {each["metadata"]["labels"][label] for each in hooks} == {release}


@rendered
@each_values
def test_only_the_frontier_may_leave(values: Path) -> None:
    objects = template("--values", str(values))
    for name, pod in pod_templates(objects).items():
        labels = pod["metadata"]["labels"]
        policies = [
            each["spec"] for each in of_kind(objects, "NetworkPolicy").values() if selects(each["spec"], labels)
        ]
        assert any("Egress" in each["policyTypes"] for each in policies), f"{name}: nothing keeps it inside"
        assert any("Ingress" in each["policyTypes"] for each in policies), f"{name}: everybody may call it"
        leaves = any(leads_outside(rule) for each in policies for rule in each.get("egress", []))
        wanted = labels["app.kubernetes.io/name"] == "sprat-frontier" and values == PRODUCTION
        assert leaves == wanted, name


def blocks(*addresses: str) -> str:
    """Return the value that lets all services reach these blocks of addresses, each by a rule of its own."""
    return f"networkPolicy.egress={json.dumps([{'to': [{'ipBlock': {'cidr': each}}]} for each in addresses])}"


@rendered
def test_the_private_networks_and_single_addresses_may_be_named_together() -> None:
    private = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")
    single = [f"192.0.2.{last}/32" for last in range(200)]
    twice = ("10.0.0.0/8",) * 4
    assert template("--values", str(PRODUCTION), "--set-json", blocks(*private, *single, *twice, "2001:db8::/64"))


def selects(policy: Object, labels: dict[str, str]) -> bool:
    """Return whether a NetworkPolicy is for pods with these labels."""
    return policy["podSelector"].get("matchLabels", {}).items() <= labels.items()


def leads_outside(rule: Object) -> bool:
    """Return whether a rule lets packets out of the cluster: to nobody named, or to addresses that are not private."""
    peers = rule.get("to")
    return not peers or any(
        not ipaddress.ip_network(each["ipBlock"]["cidr"]).is_private for each in peers if "ipBlock" in each
    )


@rendered
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "settings.SPRAT_KAFKA__BOOTSTRAP="], "where is Kafka"),
        (["--set", "settings.SPRAT_LOG_LEVLE=debug"], "SPRAT_LOG_LEVLE"),
        (["--set", "router.replica.min=2"], "replica"),
        (["--set", "router.replicas.min=0"], "minimum"),
        (["--set", "frontier.replicas.min=0"], "minimum"),
        (["--set", "models.ner.replicas.min=0"], "needs autoscaling.enabled"),
        (["--set", "models.ner.replicas.max=9"], "larger than SPRAT_KAFKA__PARTITIONS"),
        (["--set", "models.ner.replicas.min=9"], "larger than replicas.max"),
        (["--set", "models.router.task=ner"], "router"),
        (["--set", "secrets.SPRAT_SECRET=the-secret-itself"], "SPRAT_SECRET"),
        (["--set", "secrets.SPRAT_SECRET=null"], "SPRAT_SECRET"),
        (["--set", "frontier.settings.SPRAT_FRONTIER__API_KEY=abc"], "SPRAT_FRONTIER__API_KEY"),
        (["--set", "settings.SPRAT_KAFKA__INSTANCE_ID=abc"], "SPRAT_KAFKA__INSTANCE_ID"),
        (["--set", "settings.OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer abc"], "OTEL_EXPORTER_OTLP_HEADERS"),
        (["--set", "models.ner.settings.OTEL_EXPORTER_OTLP_LOGS_HEADERS=a=b"], "OTEL_EXPORTER_OTLP_LOGS_HEADERS"),
        (["--set", "settings.SPRAT_REDIS__URL=redis://:abc@redis:6379/0"], "at '/settings/SPRAT_REDIS__URL'"),
        (["--set", "settings.SPRAT_REDIS__URL=redis://redis?password=abc"], "at '/settings/SPRAT_REDIS__URL'"),
        (["--set", "frontier.settings.HTTPS_PROXY=http://user:abc@proxy"], "at '/frontier/settings/HTTPS_PROXY'"),
        (["--set-json", 'networkPolicy.egress=[{"ports":[{"port":443}]}]'], "the whole world"),
        (["--set-json", 'networkPolicy.egress=[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]'], "the whole world"),
        (["--set-json", 'networkPolicy.egress=[{"to":[{"ipBlock":{"cidr":"::/0"}}]}]'], "the whole world"),
        (["--set-json", 'networkPolicy.egress=[{"to":[{"ipBlock":{"cidr":"128.0.0.0/1"}}]}]'], "the whole world"),
        (["--set-json", blocks(*(f"{first}.0.0.0/8" for first in range(1, 6)))], "together too large"),
        (["--set-json", blocks(*(f"{first}.0.0.0/9" for first in range(1, 10)))], "together too large"),
        (["--set-json", blocks("8.0.0.0/8", "9.0.0.0/8", "2000::/8", "2100::/8", "2200::/8")], "together too large"),
        (["--set-json", "networkPolicy.ingress=[{}]"], "name who may"),
        (["--set-json", "networkPolicy.gateway=[{}]"], "lets everybody call the gateway"),
        (["--set", "gateway.enabled=true,gateway.ingress.enabled=true"], "by which name is the gateway called"),
        (["--set", "gateway.settings.SPRAT_GATEWAY__SEAL_KEY=abc"], "SPRAT_GATEWAY__SEAL_KEY"),
        (
            ["--set", "gateway.enabled=true,gateway.replicas=2,gateway.store.persistentVolumeClaim.claimName=kept"],
            "a volume of gateway.store is for one",
        ),
        (["--set", "monitoring.interval=30s"], "interval"),
        (["--set", "monitoring.enabled=true,monitoring.settings.late_second=60"], "no such setting"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_wrong_values_are_refused(options: list[str], reason: str) -> None:
    assert reason in refusal(*options)


@rendered
def test_alerts_rules_and_dashboards_are_those_of_the_repository(production: list[Object]) -> None:
    rules = of_kind(production, "PrometheusRule")
    files = [*(ROOT / "observability/alerts").glob("*.yml"), *(ROOT / "observability/prometheus/rules").glob("*.yml")]
    assert rules.keys() == {*(f"{RELEASE}-{path.stem}" for path in files), f"{RELEASE}-absent"}
    for path in files:
        expected = load_yaml(path.read_text("utf-8"))
        if path.name == "settings.yml":
            for rule in expected["groups"][0]["rules"]:
                if rule["record"] == "sprat:runbooks":
                    rule["labels"]["base"] = "https://wiki.example/sprat/runbooks"
                elif rule["record"] == "sprat:setting:cost_eur_per_hour":
                    rule["expr"] = "vector(25)"
        assert rules[f"{RELEASE}-{path.stem}"]["spec"] == expected, path.name
    dashboards = {
        name: content
        for each in of_kind(production, "ConfigMap").values()
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, content in each["data"].items()
    }
    for path in (ROOT / "observability/grafana/dashboards").glob("*.json"):
        assert json.loads(dashboards.pop(path.name)) == json.loads(path.read_text("utf-8")), path.name
    assert not dashboards


@rendered
def test_a_package_of_the_chart_is_whole_without_the_repository(tmp_path: Path, production: list[Object]) -> None:
    assert helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        assert not [name for name in archive.getnames() if "/tests" in name]
    done = helm(
        "template",
        RELEASE,
        str(package),
        "--namespace",
        "sprat",
        "--kube-version",
        VERSION,
        "--values",
        str(PRODUCTION),
    )
    assert [each for each in yaml.load_all(done.stdout, LOADER) if each] == production


@rendered
def test_each_service_that_is_never_without_a_pod_is_missed() -> None:
    objects = template("--values", str(PRODUCTION), "--set", "models.translation.replicas.min=0")
    (group,) = of_kind(objects, "PrometheusRule")[f"{RELEASE}-absent"]["spec"]["groups"]
    missed = {re.search(r'service_name="sprat-(\w+)"', rule["expr"])[1] for rule in group["rules"]}
    assert missed == {*SERVICES, GUARDIAN, GATEWAY} - {"translation"}
    known = load_yaml((ROOT / "observability/alerts/services.yml").read_text("utf-8"))["groups"][0]["rules"]
    down = next(each for each in known if each["alert"] == "SpratServiceDown")
    for rule in group["rules"]:
        promql_parser.parse(rule["expr"])
        assert rule["annotations"]["runbook_url"] == down["annotations"]["runbook_url"]
        assert rule["labels"] == down["labels"]


@rendered
def test_prometheus_sees_the_names_that_the_rules_ask_for(production: list[Object]) -> None:
    (monitor,) = of_kind(production, "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    given = {each["targetLabel"]: each for each in endpoint["relabelings"]}
    assert given["job"]["replacement"] == "sprat"
    assert given.keys() == {"job", "instance", "service_name", "sprat_model_name"}
    assert endpoint["honorLabels"]
    for name, pod in pod_templates(production).items():
        selected = monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert selected == (name.startswith("Deployment") and "simulator" not in name), name
        if selected:
            for label in ("service_name", "sprat_model_name"):
                (source,) = given[label]["sourceLabels"]
                found = {re.sub(r"\W", "_", key): value for key, value in pod["metadata"]["labels"].items()}.get(
                    source.removeprefix("__meta_kubernetes_pod_label_")
                )
                image = pod["spec"]["containers"][0]["name"]
                has_model = image in {"intent", "ner", "translation"}
                assert found == (f"sprat-{image}" if label == "service_name" else "default" if has_model else None)


@rendered
def test_each_service_scales_on_lag_and_on_age_between_its_bounds(production: list[Object]) -> None:
    scaled = of_kind(production, "ScaledObject")
    assert scaled.keys() == {f"{RELEASE}-{name}" for name in SERVICES}
    assert {name: each["spec"]["minReplicaCount"] for name, each in scaled.items()} == {
        "sprat-router": 2,
        "sprat-frontier": 2,
        "sprat-intent": 2,
        "sprat-ner": 2,
        "sprat-translation": 2,
    }
    deployments = of_kind(production, "Deployment")
    for name, each in scaled.items():
        assert each["spec"]["scaleTargetRef"] == {"name": name}
        assert "replicas" not in deployments[name]["spec"], "an upgrade would undo what KEDA has set"
    for name in (GUARDIAN, GATEWAY):
        assert deployments[f"{RELEASE}-{name}"]["spec"]["replicas"] == 2, "it does not scale on lag"
    for name, each in scaled.items():
        *lags, age = each["spec"]["triggers"]
        service = name.removeprefix("sprat-")
        group = service if service in {"router", "frontier"} else f"{service}.default"
        topics = {lag["metadata"]["topic"] for lag in lags}
        # Draws are in one partition: more pods would not read them sooner.
        assert topics == set(topics_read_by(group, Topics())) - {Topics().reviews}
        assert len({lag["name"] for lag in lags}) == len(lags)
        assert {(lag["type"], lag["metadata"]["consumerGroup"]) for lag in lags} == {("kafka", f"sprat.{group}")}
        assert (age["type"], age["metricType"]) == ("prometheus", "Value")
        assert age["metadata"]["query"] == f'max({AGE}{{{GROUP}="sprat.{group}"}})'
        promql_parser.parse(age["metadata"]["query"])


@rendered
def test_keda_asks_kafka_with_the_user_and_the_certificates_of_the_service(production: list[Object]) -> None:
    asked = of_kind(production, "TriggerAuthentication")
    for name, each in of_kind(production, "ScaledObject").items():
        trigger = each["spec"]["triggers"][0]
        assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == ("enable", "scram_sha512")
        spec = asked[trigger["authenticationRef"]["name"]]["spec"]
        deployment = of_kind(production, "Deployment")[name]["spec"]["template"]
        for variable in spec["env"]:
            assert variable["name"] in environment(deployment)
            assert variable["containerName"] == deployment["spec"]["containers"][0]["name"]
        assert spec["secretTargetRef"] == [{"parameter": "ca", "name": "events-cluster-ca-cert", "key": "ca.crt"}]


def changed(*options: str) -> set[str]:
    """Return the names of the Deployments whose pods are replaced when these values are set."""
    before, after = (
        of_kind(template("--set", base, *more), "Deployment") for base, more in ((_KAFKA, ()), (_KAFKA, options))
    )
    return {name for name in before if before[name]["spec"]["template"] != after[name]["spec"]["template"]}


_KAFKA = "settings.SPRAT_KAFKA__BOOTSTRAP=kafka:9092"


@rendered
@pytest.mark.parametrize(
    ("options", "services"),
    [
        (["--set", "models.intent.tag=0.1.1"], {"intent"}),
        (["--set", "router.tag=0.1.1"], {"router"}),
        (["--set", "images.tag=0.1.1"], {*SERVICES, GUARDIAN}),
        (["--set", "policy=tasks: {}"], {"router", "frontier", GUARDIAN}),
        (["--set", "models.ner.replicas.min=2"], set()),
        (["--set", "monitoring.enabled=true,dashboards.enabled=true,autoscaling.enabled=true"], set()),
        (["--set", "settings.SPRAT_LOG_LEVEL=debug"], {*SERVICES, GUARDIAN}),
        (["--set", "models.ner.settings.SPRAT_NER__THREADS=2"], {"ner"}),
    ],
)
def test_an_upgrade_restarts_what_has_changed_and_nothing_else(options: list[str], services: set[str]) -> None:
    assert changed(*options) == {f"{RELEASE}-{name}" for name in services}


@rendered
def test_a_new_version_of_the_chart_restarts_no_service_by_itself(tmp_path: Path) -> None:
    before = pod_templates(template("--set", _KAFKA))
    text = json.dumps(before)
    chart = load_yaml((CHART / "Chart.yaml").read_text("utf-8"))
    assert f"{chart['name']}-{chart['version']}" not in text.replace(f":{chart['appVersion']}", "")


@rendered
def test_settings_of_a_service_go_before_those_of_all_and_secrets_stay_references() -> None:
    objects = template(
        "--set", _KAFKA,
        "--set", "router.settings.SPRAT_LOG_LEVEL=debug",
        "--set", "secrets.SPRAT_REDIS__URL.name=redis,secrets.SPRAT_REDIS__URL.key=url",
        "--set", "router.settings.SPRAT_REDIS__URL=redis://other:6379/0",
        "--set", "settings.SPRAT_REDIS__TTL_S=1000000",
    )  # fmt: skip
    pods = pod_templates(objects)
    router, intent = environment(pods["Deployment sprat-router"]), environment(pods["Deployment sprat-intent"])
    assert (router["SPRAT_LOG_LEVEL"], intent["SPRAT_LOG_LEVEL"]) == ("debug", "info")
    assert router["SPRAT_REDIS__URL"] == "redis://other:6379/0"
    assert intent["SPRAT_REDIS__URL"] == {"secretKeyRef": {"name": "redis", "key": "url"}}
    assert intent["SPRAT_REDIS__TTL_S"] == "1000000"
    assert intent["SPRAT_SECRET"] == {"secretKeyRef": {"name": "sprat", "key": "secret"}}
    assert not of_kind(objects, "Secret")


@rendered
def test_the_job_of_the_topics_has_no_secret_but_that_of_kafka(production: list[Object]) -> None:
    own = environment(pod_templates(production)["Job sprat-topics"])
    assert {"SPRAT_KAFKA__BOOTSTRAP", "SPRAT_KAFKA__SASL_PASSWORD", "SPRAT_KAFKA__SSL_CAFILE"} <= own.keys()
    assert all(name.startswith("SPRAT_KAFKA__") for name in own.keys() - {"SPRAT_TASKS"})


@rendered
def test_in_production_each_service_is_a_user_of_kafka_of_its_own(production: list[Object]) -> None:
    pods = {name: environment(pod) for name, pod in pod_templates(production).items()}
    users = {name: own["SPRAT_KAFKA__SASL_USERNAME"] for name, own in pods.items()}
    tools = {"Job sprat-topics", "Pod sprat-doctor"}
    assert {users[name] for name in tools} == {"sprat-operator"}
    services = {name: user for name, user in users.items() if name not in tools}
    assert services == {name: name.removeprefix("Deployment ") for name in services}
    assert users["Deployment sprat-gateway"] == "sprat-gateway"
    for name, own in pods.items():
        assert own["SPRAT_KAFKA__SASL_PASSWORD"] == {"secretKeyRef": {"name": users[name], "key": "password"}}, name
    roles_of = {
        role: [f"User:sprat-{role}"] for role in ("router", "frontier", "guardian", "intent", "ner", "translation")
    }
    roles_of["door"] = ["User:sprat-gateway"]
    shown = (ROOT / "docs/deploy/kubernetes.md").read_text("utf-8")
    for role, (user,) in (roles_of | {"operator": ["User:sprat-operator"]}).items():
        assert f"--principal {role}={user}" in shown
    assert {user for (user,) in roles_of.values()} == {f"User:{user}" for user in services.values()}


@rendered
def test_telemetry_names_the_pod_and_keeps_what_the_operator_adds() -> None:
    added = 'settings.OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test"'
    for more, end in (((), ""), (("--set-json", added), ",deployment.environment.name=test")):
        objects = template("--values", str(PRODUCTION), *more)
        for name, deployment in of_kind(objects, "Deployment").items():
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            order = [each["name"] for each in container["env"]]
            own = environment(deployment["spec"]["template"])
            attributes = own["OTEL_RESOURCE_ATTRIBUTES"]
            assert f"k8s.deployment.name={name}," in attributes
            assert attributes.endswith(f"k8s.node.name=$(K8S_NODE){end}")
            for variable in re.findall(r"\$\((\w+)\)", attributes):
                assert "fieldRef" in own[variable]
                assert order.index(variable) < order.index("OTEL_RESOURCE_ATTRIBUTES")


@rendered
def test_only_the_namespace_of_monitoring_reads_metrics() -> None:
    for values in VALUES:
        policies = of_kind(template("--values", str(values)), "NetworkPolicy")
        (rule,) = policies["sprat-services"]["spec"]["ingress"]
        labels = {"kubernetes.io/metadata.name": "monitoring"}
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": labels}}], values.name


@rendered
def test_the_gateway_never_has_the_secret_and_has_the_keys_of_the_door_alone() -> None:
    objects = template(
        "--values", str(PRODUCTION),
        "--set-json", 'signingKeys={"CRM_KEY": {"name": "crm", "key": "a"}}',
        "--set-json", 'doorKeys={"CRM_DOOR_KEY": {"name": "crm-door", "key": "a"}}',
        "--set-json", 'secrets.SPRAT_PREVIOUS_SECRET={"name": "sprat", "key": "previous"}',
        "--set-json", 'gateway.secrets.SPRAT_SECRET={"name": "sprat", "key": "secret"}',
    )  # fmt: skip
    pods = {name: environment(pod) for name, pod in pod_templates(objects).items()}
    door = pods.pop("Deployment sprat-gateway")
    assert not {"SPRAT_SECRET", "SPRAT_PREVIOUS_SECRET", "CRM_KEY", "SPRAT_AUDIT__KEY"} & door.keys()
    assert door["CRM_DOOR_KEY"] == {"secretKeyRef": {"name": "crm-door", "key": "a"}}
    for name in ("router", "frontier"):
        assert pods[f"Deployment sprat-{name}"].keys() >= {"SPRAT_SECRET", "CRM_KEY", "CRM_DOOR_KEY"}
    assert not [name for name, own in pods.items() if "SPRAT_GATEWAY__SEAL_KEY" in own]


@rendered
def test_the_gateway_is_called_by_those_who_are_named_and_by_the_names_that_it_knows(production: list[Object]) -> None:
    (deployment,) = [each for name, each in of_kind(production, "Deployment").items() if name.endswith(GATEWAY)]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    policies = [each["spec"] for each in of_kind(production, "NetworkPolicy").values() if selects(each["spec"], labels)]
    called = {
        port["port"]: rule["from"] for each in policies for rule in each.get("ingress", []) for port in rule["ports"]
    }
    namespaces = {"health": "monitoring", "http": "ingress-nginx"}
    assert called == {
        port: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]
        for port, name in namespaces.items()
    }
    (service,) = [each for name, each in of_kind(production, "Service").items() if name.endswith(GATEWAY)]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    (ingress,) = of_kind(production, "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == (
        service["metadata"]["name"],
        service["spec"]["ports"][0]["name"],
    )
    own = environment(deployment["spec"]["template"])
    assert {rule["host"], backend["name"]} <= set(json.loads(own["SPRAT_GATEWAY__HOSTS"]))
    assert own["SPRAT_GATEWAY__PAGE"] == "off", "until an operator turns it on"


@rendered
def test_a_gateway_with_a_volume_gives_it_up_before_the_next_one_takes_it() -> None:
    kept = 'gateway.store={"persistentVolumeClaim": {"claimName": "kept"}}'
    objects = template("--set", _KAFKA, "--set", "gateway.enabled=true", "--set-json", kept)
    spec = of_kind(objects, "Deployment")["sprat-gateway"]["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"], (
        "it could not write into the volume"
    )
    (store,) = [each for each in pod["volumes"] if each["name"] == "store"]
    assert store["persistentVolumeClaim"] == {"claimName": "kept"}


DESK = {"kind": "classification", "labels": {"badge": "a key card", "laptop": None}, "keep_at": 0.7}
OF_DESK = [
    f"--set-json={each}"
    for each in (
        f'tasks={{"desk": {json.dumps(DESK)}}}',
        f"models.desk={json.dumps({**DEFAULTS['models']['ner'], 'task': 'desk'})}",
        'modelsVolume={"persistentVolumeClaim": {"claimName": "models"}}',
        "autoscaling.enabled=true",
    )
]


@rendered
def test_a_task_from_a_file_is_served_by_classify_and_known_to_all_that_read_the_files(tmp_path: Path) -> None:
    objects = template("--values", str(LAPTOP), *OF_DESK)
    pods = pod_templates(objects)
    desk = pods["Deployment sprat-desk"]
    (container,) = desk["spec"]["containers"]
    assert container["image"].rpartition("/")[2].startswith("classify:")
    own = environment(desk)
    assert (own["SPRAT_CLASSIFY__TASK"], own["SPRAT_CLASSIFY__MODEL"]) == ("desk", "default")
    assert {each["mountPath"] for each in container["volumeMounts"]} >= {"/models", "/etc/sprat/tasks"}
    readers = (*(f"Deployment sprat-{name}" for name in ("router", "frontier", GUARDIAN, "desk")), "Job sprat-topics")
    config_maps = of_kind(objects, "ConfigMap")
    for name in readers:
        assert environment(pods[name])["SPRAT_TASKS"] == "/etc/sprat/tasks", name
        (volume,) = [each for each in pods[name]["spec"]["volumes"] if each["name"] == "tasks"]
        written = config_maps[volume["configMap"]["name"]]["data"]["desk.yaml"]
        path = tmp_path / "desk.yaml"
        path.write_text(written, encoding="utf-8")
        task = load_task_file(path)
        assert (task.keep_at, task.labels) == (0.7, {"badge": "a key card", "laptop": ""})
    assert "SPRAT_TASKS" not in environment(pods["Deployment sprat-intent"])
    scaled = of_kind(objects, "ScaledObject")
    read = {each["metadata"]["topic"] for each in scaled["sprat-router"]["spec"]["triggers"] if each["type"] == "kafka"}
    assert "sprat.predictions.desk.v1" in read
    (lag,) = [each["metadata"] for each in scaled["sprat-desk"]["spec"]["triggers"] if each["type"] == "kafka"]
    assert (lag["consumerGroup"], lag["topic"]) == ("sprat.desk.default", "sprat.texts.v1")


@rendered
def test_the_file_of_a_task_can_be_set_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text("# by hand\nkind: pii\n", encoding="utf-8")
    objects = template("--values", str(LAPTOP), "--set-file", f"tasks.desk={path}")
    assert of_kind(objects, "ConfigMap")["sprat-tasks"]["data"] == {"desk.yaml": path.read_text("utf-8")}


@rendered
def test_a_model_for_a_task_without_a_file_is_refused() -> None:
    said = refusal("--values", str(LAPTOP), OF_DESK[1])
    assert "models.desk.task: there is no task desk" in said


@rendered
def test_the_frontier_asks_the_simulator_as_in_the_compose_file() -> None:
    chart = environment(pod_templates(template("--values", str(LAPTOP)))["Deployment sprat-frontier"])
    for name, value in COMPOSE["frontier"]["environment"].items():
        if name in {f"SPRAT_FRONTIER__{each}" for each in ("MODEL", "PROVIDER", "REGION", "PRICES")}:
            assert chart[name] == value.removeprefix(f"${{{name}:-").removesuffix("}"), name
    assert chart["SPRAT_FRONTIER__BASE_URL"] == "http://sprat-simulator:8080/v1"


@rendered
def test_a_model_of_its_own_has_a_deployment_a_group_and_a_volume() -> None:
    objects = template("--values", str(AIR_GAPPED), "--set", "autoscaling.enabled=true")
    deployment = of_kind(objects, "Deployment")["sprat-intent-hr"]["spec"]
    assert deployment["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    own = environment(deployment["template"])
    assert (own["SPRAT_INTENT__MODEL"], own["SPRAT_INTENT__ARTEFACT"]) == ("hr", "/models/hr")
    trigger = of_kind(objects, "ScaledObject")["sprat-intent-hr"]["spec"]["triggers"][0]
    assert trigger["metadata"]["consumerGroup"] == "sprat.intent.hr"
    selectors = [each["spec"]["selector"]["matchLabels"] for each in of_kind(objects, "Deployment").values()]
    assert all(selectors.count(each) == 1 for each in selectors)


def test_the_schema_refuses_a_field_that_it_does_not_know_at_every_depth() -> None:
    def spoilt(values: Any, path: tuple[str, ...]) -> dict[str, Any]:
        other = copy.deepcopy(values)
        place = other
        for step in path:
            place = place[step]
        place["unknown"] = 1
        return other

    for path in ((), ("images",), ("router",), ("router", "replicas"), ("models", "intent"), ("topics",), ("pods",)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoilt(DEFAULTS, path), SCHEMA)
