"""Helm, and what the chart renders to. Programs are those that tests/kubernetes/build.sh built, else of the PATH."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.readme import ROOT
from support.yaml_files import LOADER

FOLDER = ROOT / "compose" / "kubernetes"
CHART = FOLDER / "chart"
VALUES = sorted((FOLDER / "values").glob("*.yaml"))
BUILD = ROOT / "tests" / "kubernetes" / "build.sh"
RELEASE = "sprat"
VERSION = "1.37"
"""Of Kubernetes. Helm renders for an old one where nothing says which."""

Object = dict[str, Any]


@functools.cache
def built() -> Path | None:
    """Return the folder of the programs that were built here; None without Bash, which builds them."""
    if shutil.which("bash") is None:
        return None
    return Path(subprocess.run([BUILD, "--where"], capture_output=True, text=True, check=True).stdout.strip())


@functools.cache
def program(name: str) -> str | None:
    """Return the path of a program, None where it is missing."""
    folder = built()
    return str(folder / name) if folder and (folder / name).exists() else shutil.which(name)


def needs(*names: str) -> pytest.MarkDecorator:
    """Return the mark of tests that need these programs: skipped, and said why, where one is missing."""
    missing = [name for name in names if program(name) is None]
    verb = "is" if len(missing) == 1 else "are"
    how = "tests/kubernetes/build.sh builds all but etcd, kubectl, prometheus"
    reason = f"{' and '.join(missing)} {verb} not installed: {how}"
    return pytest.mark.skipif(bool(missing), reason=reason)


def helm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run(
        [str(program("helm")), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | environment,
    )


@functools.cache
def rendering(*options: str) -> str:
    """Return what the chart renders to, as text."""
    done = helm("template", RELEASE, str(CHART), "--namespace", "sprat", "--kube-version", VERSION, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@functools.cache
def template(*options: str) -> list[Object]:
    """Return the objects that the chart renders to; the caller does not change them."""
    return [each for each in yaml.load_all(rendering(*options), LOADER) if each]


def refusal(*options: str) -> str:
    """Return what helm says of values that the chart refuses."""
    done = helm(
        "template",
        RELEASE,
        str(CHART),
        "--kube-version",
        VERSION,
        "--set",
        "settings.SPRAT_KAFKA__BOOTSTRAP=kafka:9092",
        *options,
    )
    assert done.returncode != 0, "the chart accepts this"
    return done.stderr


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def pod_templates(objects: list[Object]) -> dict[str, Object]:
    """Return metadata and spec of every kind of pod that the chart starts, by kind and name."""
    found = {}
    for each in objects:
        if each["kind"] in {"Deployment", "Job"}:
            found[f"{each['kind']} {each['metadata']['name']}"] = each["spec"]["template"]
        elif each["kind"] == "Pod":
            found[f"Pod {each['metadata']['name']}"] = {"metadata": each["metadata"], "spec": each["spec"]}
    return found


def environment(pod: Object) -> dict[str, Any]:
    """Return variable → value, or reference to a Secret, of the one container of a pod."""
    (container,) = pod["spec"]["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
