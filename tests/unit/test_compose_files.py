"""What the compose files name is used and documented: images, ports, variables, volumes, settings."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compose.generate import generated
from sprat.base.settings import section_field
from sprat_contracts import OWN_TASKS, TASKS, Topics
from sprat_operations.rights import ROLES, parse_principals
from support.compose import DOCKER
from support.readme import CONFIGURATION, DOCS, ROOT
from support.yaml_files import load_yaml

FOLDER = ROOT / "compose"
TLS = "compose.kafka-tls.yaml"
FILES = {name: (FOLDER / name).read_text("utf-8") for name in ("compose.yaml", "compose.observability.yaml", TLS)}
LOADED: dict[str, dict[str, Any]] = {name: load_yaml(text) for name, text in FILES.items()}
PAGE = (DOCS / "deploy" / "compose.md").read_text("utf-8")
EXAMPLE = (FOLDER / ".env.example").read_text("utf-8")
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
SERVICES = tuple(file.parent.name for file in ROOT.glob("services/*/pyproject.toml"))

VARIABLE = re.compile(r"\$\{(\w+)(?::?-((?:[^{}]|\{[^{}]*\}|\{[^{}]*\{[^{}]*\}[^{}]*\})*))?")
SCHEMA = FOLDER / "kubernetes" / "chart" / "values.schema.json"
TAG = json.loads(SCHEMA.read_text("utf-8"))["definitions"]["tag"]["pattern"]
IMAGE = re.compile(r"\$\{(?P<variable>\w+_IMAGE):-(?P<name>[a-z0-9-]+(?:/[a-z0-9-]+)?):(?P<tag>v?[0-9][\w.-]*)\}")
NOT_IN_FILES = {"COMPOSE_PROFILES"}
"""Compose reads it by itself."""


GENERATED = dict(generated())


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_follows_from_the_list_of_services_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == GENERATED[path], "run: make generate"


def containers() -> list[tuple[str, dict[str, Any]]]:
    """Return all containers with an image of their own; the other files add to those of the first."""
    return [
        (name, service) for file in LOADED.values() for name, service in file["services"].items() if "image" in service
    ]


def variables() -> dict[str, str]:
    """Return variable → default, of all files; a default may hold a variable, too."""
    found: dict[str, str] = {}
    waiting = [*FILES.values()]
    while waiting:
        of_text = dict(VARIABLE.findall(waiting.pop()))
        found |= of_text
        waiting += [default for default in of_text.values() if "$" in default]
    return found


def test_the_variables_of_the_files_are_those_of_the_example_with_the_same_defaults() -> None:
    example = dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert example.keys() - NOT_IN_FILES == variables().keys()
    for name, default in variables().items():
        # The tag of one service is by default that of all.
        assert example[name] == ("" if default.startswith("${") else default), name


def in_the_table(name: str) -> str:
    """Return the variable that stands in the page for a variable: of the services of Sprat's own tasks, intent's."""
    own = "|".join(section_field(task).upper() for task in TASKS)
    return re.sub(rf"^(SPRAT|KAFKA)_({own})_", r"\1_INTENT_", name)


@pytest.mark.parametrize("name", sorted({*map(in_the_table, variables()), *NOT_IN_FILES}))
def test_each_variable_is_documented(name: str) -> None:
    assert re.search(rf"^\|[^|]*`{name}`", PAGE, re.MULTILINE), f"{name} is not in the table of docs/deploy/compose.md"


def test_the_page_documents_no_other_variable() -> None:
    table = PAGE[PAGE.index("## Variables") : PAGE.index("## The images")]
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", table)) == {*map(in_the_table, variables()), *NOT_IN_FILES}


@pytest.mark.parametrize(("name", "service"), containers(), ids=lambda each: each if isinstance(each, str) else "")
def test_an_image_is_sprats_own_or_has_one_variable_with_a_name_and_a_tag(name: str, service: dict[str, Any]) -> None:
    image = service["image"]
    if image.startswith("${SPRAT_IMAGES:-sprat}/"):
        target = image.removeprefix("${SPRAT_IMAGES:-sprat}/").partition(":")[0]
        assert f" AS {target}\n" in DOCKERFILE
        assert target == ("cli" if name == "topics" else name)
    else:
        assert IMAGE.fullmatch(image), f"{image}: one variable with a default of name and tag, and no host"


def test_each_image_can_be_pinned_by_digest() -> None:
    digest = f"0.1.0@sha256:{'0' * 64}"
    for name, service in containers():
        image = service["image"]
        if own := re.fullmatch(r"\$\{SPRAT_IMAGES:-sprat\}/([\w-]+):\$\{(SPRAT_\w+_TAG):-.+\}", image):
            assert own[2] == f"SPRAT_{section_field(own[1]).upper()}_TAG"
            assert re.fullmatch(TAG, digest), "what the chart accepts as a tag"
        else:
            assert IMAGE.fullmatch(image), f"{name}: {image}"


def test_up_builds_no_image() -> None:
    """Else a mistyped tag would deploy whatever the checkout has, under that tag."""
    assert [name for name, service in containers() if "build" in service] == []


def test_an_image_of_sprat_is_never_pulled_unless_somebody_says_so() -> None:
    """Else a mistyped tag runs what anybody has put under that name at Docker's default registry."""
    own = {name: service for name, service in containers() if service["image"].startswith("${SPRAT_IMAGES")}
    assert own.keys() == {*SERVICES, "topics", "cli"}
    assert {service.get("pull_policy") for service in own.values()} == {"${SPRAT_PULL_POLICY:-never}"}


def test_each_image_of_the_dockerfile_runs_somewhere_and_is_made_and_labelled() -> None:
    targets = {
        name for name in re.findall(r" AS ([\w-]+)$", DOCKERFILE, re.MULTILINE) if f"title=sprat-{name} " in DOCKERFILE
    }
    assert targets == {*SERVICES, "cli"}
    assert targets <= {service["image"].partition("}/")[2].partition(":")[0] for _, service in containers()}


@pytest.mark.parametrize(("name", "service"), containers(), ids=lambda each: each if isinstance(each, str) else "")
def test_a_container_has_limits_and_no_rights(name: str, service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"restart", "mem_limit", "logging"} <= service.keys()
    assert service.get("read_only") or name in {"kafka", "grafana"}, "these two write into their root"


def test_redis_lets_other_containers_in_whatever_image_it_is() -> None:
    command = " ".join(LOADED["compose.yaml"]["services"]["redis"]["command"])
    assert "--protected-mode no" in command, "without a password it refuses them; only Docker's own image has it off"


def test_ports_are_open_to_this_machine_alone_and_documented() -> None:
    ports = [port for _, service in containers() for port in service.get("ports", [])]
    assert len(ports) == 6
    for port in ports:
        published = re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-(\d+)\}:\d+", port)
        assert published, port
        assert published[1] in PAGE, port


def test_prometheus_reads_every_service_and_misses_none_whose_profile_is_not_named() -> None:
    (job,) = load_yaml((FOLDER / "observability" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    exported = {name for name in LOADED["compose.observability.yaml"]["services"] if name in SERVICES}
    on_request = {name for name in exported if "profiles" in LOADED["compose.yaml"]["services"][name]}
    assert on_request == {"classify", "gateway", *(name for name, task in OWN_TASKS.items() if task.on_request)}
    static = {target: each["labels"] for each in job["static_configs"] for target in each["targets"]}
    assert static == {
        f"{name}:8080": {"instance": name, "service_name": f"sprat-{name}"} for name in exported - on_request
    }
    # A name that leads nowhere is no target, so nothing counts as down.
    (found,) = job["dns_sd_configs"]
    assert (set(found["names"]), found["type"], found["port"]) == (on_request, "A", 8080)
    named = {each["target_label"]: each.get("replacement", "$1") for each in job["relabel_configs"]}
    assert named == {"instance": "$1", "service_name": "sprat-$1"}
    assert {str(each["source_labels"]) for each in job["relabel_configs"]} == {"['__meta_dns_name']"}


def test_volumes_and_networks_are_declared_used_and_documented() -> None:
    for kind in ("volumes", "networks"):
        declared = {name for file in LOADED.values() for name in file.get(kind, {})}
        used = {
            each.partition(":")[0] for _, service in containers() for each in service.get(kind, []) if type(each) is str
        }
        assert declared == used
    for file in LOADED.values():
        for volume in file.get("volumes", {}):
            assert f"`{volume}`" in PAGE


def test_the_frontier_writes_checkpoints_of_the_audit_to_a_volume_that_the_command_line_reads() -> None:
    services = LOADED["compose.yaml"]["services"]
    where = r"\$\{SPRAT_AUDIT__CHECKPOINTS-(/[\w/]+)\}"  # no colon: set to nothing, there are none
    folders = {}
    for name, mode in (("frontier", ""), ("cli", ":ro")):
        found = re.fullmatch(where, services[name]["environment"]["SPRAT_AUDIT__CHECKPOINTS"])
        assert found, name
        folders[name] = found[1]
        assert f"audit-checkpoints:{found[1]}{mode}" in services[name]["volumes"]
    assert folders["frontier"] == folders["cli"]
    # A new volume gets the owner of the folder in the image that is first to mount it: made before the user changes.
    runtime = DOCKERFILE[DOCKERFILE.index(" AS runtime\n") : DOCKERFILE.index(" AS model\n")]
    made = f"RUN install -d -o 10001 -g 10001 -m 750 {folders['frontier']} "
    assert 0 <= runtime.find(made) < runtime.find("USER 10001:10001\n")


def test_the_gateway_never_has_the_secret_and_has_the_keys_of_the_door_alone() -> None:
    services = LOADED["compose.yaml"]["services"]
    gateway = services["gateway"]
    assert {"SPRAT_SECRET", "SPRAT_PREVIOUS_SECRET", "SPRAT_AUDIT__KEY"} & services["frontier"]["environment"].keys()
    assert not {"SPRAT_SECRET", "SPRAT_PREVIOUS_SECRET", "SPRAT_AUDIT__KEY"} & gateway["environment"].keys()
    (door_keys,) = gateway["env_file"]
    assert "SPRAT_DOOR_KEYS_FILE" in door_keys
    for name in ("router", "frontier", "cli"):
        assert door_keys in services[name]["env_file"], f"{name} could not verify what the gateway has signed"


def test_keys_and_store_of_the_gateway_are_on_volumes_that_the_command_line_changes() -> None:
    services = LOADED["compose.yaml"]["services"]
    runtime = DOCKERFILE[DOCKERFILE.index(" AS runtime\n") : DOCKERFILE.index(" AS model\n")]
    for variable, volume, mode in (("KEYS_FILE", "api-keys", ":ro"), ("DATA", "gateway-store", "")):
        (path,) = {services[name]["environment"][f"SPRAT_GATEWAY__{variable}"] for name in ("gateway", "cli")}
        folder = path.removesuffix("/api-keys.json")
        assert f"{volume}:{folder}{mode}" in services["gateway"]["volumes"]
        assert f"{volume}:{folder}" in services["cli"]["volumes"]
        assert re.search(rf"RUN install .* {folder}( |$)", runtime, re.MULTILINE), "a new volume would be root's"
    assert not {"outside"} & set(services["gateway"]["networks"]), "it calls nobody"


def test_what_is_mounted_is_there() -> None:
    mounts = [each for _, service in containers() for each in service.get("volumes", []) if isinstance(each, dict)]
    assert len(mounts) > 5
    for mount in mounts:
        path = VARIABLE.sub(lambda found: found[2], mount["source"]).removesuffix("}")
        assert (FOLDER / path).exists(), path
        assert mount["read_only"]


def test_settings_of_services_are_known() -> None:
    known = set(re.findall(r"`((?:SPRAT|OTEL)_\w+)`", CONFIGURATION.read_text("utf-8")))
    for name, service in containers():
        for variable in service.get("environment", {}):
            if variable.startswith("SPRAT_") and name in {*SERVICES, "cli", "topics"} - {"simulator"}:
                assert variable in known, f"{name}: {variable}"


def test_every_container_is_described() -> None:
    for name in {name for name, _ in containers()} - set(TASKS):
        assert name in PAGE.lower(), name


def test_the_files_of_the_tls_layer_are_there_or_made_by_its_script() -> None:
    script = (FOLDER / "kafka-tls.sh").read_text("utf-8")
    mounts = [each for service in LOADED[TLS]["services"].values() for each in service.get("volumes", [])]
    assert {each["source"] for each in mounts} == {"./kafka-tls/ca.crt", "./kafka-tls/broker.pem", "./kafka-jaas.conf"}
    for mount in mounts:
        path = mount["source"].removeprefix("./")
        assert (FOLDER / path).exists() or f">{path}" in script or f"-out {path}" in script
        assert mount["read_only"]


def test_each_container_of_the_tls_layer_has_a_user_of_its_own() -> None:
    services = LOADED[TLS]["services"]
    known = set(re.findall(r"`(SPRAT_\w+)`", CONFIGURATION.read_text("utf-8")))
    users = {}
    for name in {*SERVICES, "cli", "topics"} - {"simulator"}:
        settings = services[name]["environment"]
        assert settings.keys() <= known
        assert settings["SPRAT_KAFKA__SECURITY_PROTOCOL"] == "SASL_SSL"
        users[name] = settings["SPRAT_KAFKA__SASL_USERNAME"]
        assert f"{{KAFKA_{section_field(users[name]).upper()}_PASSWORD:?" in settings["SPRAT_KAFKA__SASL_PASSWORD"]
    assert len({*users.values()}) == len(users)
    assert users["topics"] in LOADED[TLS]["services"]["kafka"]["environment"]["KAFKA_SUPER_USERS"]


def test_the_users_of_the_tls_layer_have_passwords_rights_and_quotas() -> None:
    services = LOADED[TLS]["services"]
    (script,) = services["users"]["command"]
    passwords = re.findall(r'settings ([\w-]+) "SCRAM-SHA-512=password=\$\$(\w+)\\n"', script)
    assert [section_field(user).upper() for user, _ in passwords] == [variable for _, variable in passwords]
    assert {variable for _, variable in passwords} <= services["users"]["environment"].keys()
    (command,) = services["topics"]["command"]
    granted = re.findall(r"--principal ([\w-]+=User:[\w-]+)", command)
    principals = parse_principals(granted, Topics())
    # What `classify` may do depends on the task that it is given.
    assert {each.user for each in principals} | {"admin", "classify"} == {user for user, _ in passwords}
    assert set(ROLES) - {role for each in principals for role in each.roles} == {"reviewer", "auditor"}
    for each in principals:
        quota = each.quota()
        printed = "" if quota is None else "".join(f"{name}={value}\\n" for name, value in quota.settings().items())
        assert re.findall(rf"settings {each.user} '([^']*)'", script) == ([printed] if printed else [])


@pytest.mark.parametrize("layers", [(), (TLS,), (TLS, "compose.observability.yaml")], ids=str)
def test_docker_compose_takes_the_files(layers: tuple[str, ...]) -> None:
    compose = [DOCKER, "compose"]
    if not shutil.which(DOCKER) or subprocess.run([*compose, "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed: https://docs.docker.com/compose/install")
    files = [word for name in ("compose.yaml", *layers) for word in ("--file", str(FOLDER / name))]
    required = {name: "x" * 20 for name, default in variables().items() if not default}
    command = [*compose, *files, "config", "--quiet"]
    ended = subprocess.run(command, env=os.environ | required, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
