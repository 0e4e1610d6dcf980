"""The chart on a real Kubernetes API server: what it admits, what it refuses, and a life of a release."""

import base64
import copy
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import NAMESPACE, PROGRAMS, Cluster, eventually
from support.helm import CHART, RELEASE, VALUES, VERSION, Object, helm, needs, of_kind, pod_templates, template

pytestmark = needs(*PROGRAMS)
each_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
AIR_GAPPED, LAPTOP, PRODUCTION = VALUES
OLDEST = (
    yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
)
CUSTOM = ("ScaledObject", "TriggerAuthentication", "PodMonitor", "PrometheusRule")


@each_values
@pytest.mark.parametrize("version", [OLDEST, VERSION])
def test_the_schemas_of_kubernetes_accept_every_object(values: Path, version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="make test-kubernetes installs kubernetes-validate")
    for each in template("--values", str(values)):
        if each["kind"] not in CUSTOM:
            validate.validate(each, version, strict=True)


@each_values
def test_the_server_accepts_every_object_and_warns_of_none(cluster: Cluster, values: Path) -> None:
    objects = template("--values", str(values), "--set", "dashboards.enabled=true")
    done = cluster.dry_run(*objects)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("serverside-applied (server dry run)") == len(objects)
    assert "would violate" not in done.stderr, done.stderr


@each_values
def test_the_restricted_profile_admits_every_pod(cluster: Cluster, values: Path) -> None:
    pods = [pod(name, each) for name, each in pod_templates(template("--values", str(values))).items()]
    assert len(pods) >= 7
    done = cluster.dry_run(*pods)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("lax", ["allowPrivilegeEscalation", "capabilities"])
def test_a_lax_pod_is_refused(cluster: Cluster, lax: str) -> None:
    one = pod("lax", copy.deepcopy(pod_templates(template("--values", str(LAPTOP)))["Deployment sprat-router"]))
    del one["spec"]["containers"][0]["securityContext"][lax]
    done = cluster.dry_run(one)
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr


def test_a_wrong_field_is_refused(cluster: Cluster) -> None:
    objects = template("--values", str(PRODUCTION))
    deployment = copy.deepcopy(of_kind(objects, "Deployment")["sprat-router"])
    deployment["spec"]["replicsa"] = 2
    scaled = copy.deepcopy(of_kind(objects, "ScaledObject")["sprat-router"])
    scaled["spec"]["maxReplicaCount"] = "8"
    rule = copy.deepcopy(of_kind(objects, "PrometheusRule")["sprat-texts"])
    rule["spec"]["groups"][0]["rules"][0]["fore"] = "1m"
    for wrong, field in ((deployment, "replicsa"), (scaled, "maxReplicaCount"), (rule, "fore")):
        done = cluster.dry_run(wrong)
        assert done.returncode != 0, field
        assert field in done.stderr


def pod(name: str, of: Object) -> Object:
    """Return the pod that a controller would make of a template."""
    metadata = {"name": name.lower().replace(" ", "-"), "labels": of["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"restartPolicy": "Always"} | of["spec"]}


class Release:
    """The release that the tests below take through its life, in their order."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def helm(self, command: str, *options: str, chart: bool = True, topics: bool = True) -> str:
        """Run helm; end the Job of the topics, which it waits for, as soon as it is there, and return what helm says.

        With `topics` false that Job fails, and so must helm.
        """
        more = (str(CHART), "--values", str(PRODUCTION)) if chart else ()
        arguments = (command, RELEASE, *more, "--namespace", NAMESPACE, *options)
        done: list[Any] = []
        run = threading.Thread(target=lambda: done.append(helm(*arguments, KUBECONFIG=str(self.cluster.kubeconfig))))
        run.start()
        if command in {"install", "upgrade"}:
            eventually(lambda: self.waits() or not run.is_alive())
            self.before = self.generations()
            self.cluster.end_job("sprat-topics", failed=not topics)
        run.join()
        assert (done[0].returncode == 0) == topics, done[0].stderr[-3000:]
        return str(done[0].stdout if topics else done[0].stderr)

    def waits(self) -> bool:
        """Return whether a Job of this command is there; one that failed earlier stays until then."""
        found = self.cluster.run("get", "job", "sprat-topics", "--output=json")
        return found.returncode == 0 and "conditions" not in json.loads(found.stdout)["status"]

    def generations(self) -> dict[str, int]:
        """Return Deployment → how often its specification has changed."""
        return {
            each["metadata"]["name"]: each["metadata"]["generation"]
            for each in self.cluster.get("deployments")["items"]
        }

    def changed(self) -> set[str]:
        """Return the Deployments that the last command has changed."""
        return {name for name, count in self.generations().items() if count != self.before[name]}


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    found = Release(cluster)
    found.helm("install")
    yield found
    if found.generations():
        found.helm("uninstall", chart=False)


def test_the_topics_come_before_the_services(release: Release) -> None:
    assert release.before == {}
    assert release.generations().keys() == {
        f"sprat-{name}" for name in ("router", "frontier", "intent", "ner", "translation")
    }
    assert release.cluster.get("jobs")["items"] == [], "the Job is removed when it has succeeded"


def test_what_is_stored_is_what_was_rendered(release: Release) -> None:
    for each in template("--values", str(PRODUCTION)):
        if "helm.sh/hook" not in each["metadata"].get("annotations", {}):
            stored = release.cluster.get(each["kind"], each["metadata"]["name"])
            fields = each.keys() - {"apiVersion", "kind", "metadata"}
            different = [path for field in fields for path in differences(stored[field], each[field], field)]
            assert not different, f"{each['kind']} {each['metadata']['name']}"


def differences(stored: Any, rendered: Any, path: str) -> list[str]:
    """Return the paths at which a stored value is not the rendered one; defaults that the server adds do not count."""
    if isinstance(rendered, dict):
        found = [differences(stored.get(key), value, f"{path}.{key}") for key, value in rendered.items()]
    elif isinstance(rendered, list) and len(stored) == len(rendered):
        pairs = enumerate(zip(stored, rendered, strict=True))
        found = [differences(*pair, f"{path}[{number}]") for number, pair in pairs]
    else:
        return [] if stored == rendered else [f"{path}: {rendered!r} became {stored!r}"]
    return [each for some in found for each in some]


def test_the_release_fits_into_the_secret_that_helm_keeps(release: Release) -> None:
    (secret,) = [each for each in release.cluster.get("secrets")["items"] if each["type"] == "helm.sh/release.v1"]
    assert len(base64.b64decode(secret["data"]["release"])) < 500_000, "the server refuses more than 1 MiB"


def test_an_upgrade_of_one_service_changes_one_deployment_and_a_rollback_undoes_it(release: Release) -> None:
    release.helm("upgrade", "--set", "models.intent.tag=0.1.1")
    assert release.changed() == {"sprat-intent"}
    assert image(release, "sprat-intent") == "registry.example/team/sprat/intent:0.1.1"
    release.before = release.generations()
    release.helm("rollback", chart=False)
    assert release.changed() == {"sprat-intent"}
    assert image(release, "sprat-intent") == "registry.example/team/sprat/intent:0.1.0"


def image(release: Release, name: str) -> str:
    return str(release.cluster.get("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_change_of_the_policy_changes_router_and_frontier(release: Release, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("tasks:\n  intent: {keep_at: 0.9}\n", "utf-8")
    release.helm("upgrade", "--set-file", f"policy={policy}")
    assert release.changed() == {"sprat-router", "sprat-frontier"}
    assert (
        release.cluster.get("configmap", "sprat-policy")["data"]["policy.yaml"].strip()
        == policy.read_text("utf-8").strip()
    )


def test_topics_that_cannot_be_made_stop_an_upgrade_and_leave_the_job_with_its_log(release: Release) -> None:
    said = release.helm("upgrade", "--set", "images.tag=0.2.0", "--timeout", "60s", topics=False)
    assert "sprat-topics" in said
    assert release.changed() == set()
    assert release.cluster.get("job", "sprat-topics")["status"]["failed"] == 1


def test_keda_may_change_the_replicas_and_an_upgrade_leaves_them(release: Release) -> None:
    release.cluster.kubectl("scale", "deployment", "sprat-ner", "--replicas=5")
    release.helm("upgrade", "--set", "models.ner.tag=0.1.1")
    assert release.cluster.get("deployment", "sprat-ner")["spec"]["replicas"] == 5


def test_nothing_is_left_after_an_uninstall(release: Release) -> None:
    release.helm("uninstall", chart=False)
    kinds = "deployments,jobs,pods,configmaps,networkpolicies,poddisruptionbudgets,scaledobjects,triggerauthentications"
    found = release.cluster.get(
        f"{kinds},podmonitors,prometheusrules,services", "--selector=app.kubernetes.io/part-of=sprat"
    )
    assert [f"{each['kind']} {each['metadata']['name']}" for each in found["items"]] == []
    assert json.dumps(release.cluster.get("secrets")["items"]) == "[]"
