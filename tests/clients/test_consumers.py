"""The consumers of `docs/clients` in Java, Node and Go, as written, with the versions of their lock files."""

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Kafka
from sprat_local.kafka.jars import class_path
from support.npm import node_modules
from support.programs import needs
from support.result_consumers import CLIENTS, check_consumer


@needs("javac")
async def test_the_consumer_in_java(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    jars, programs = class_path(), (CLIENTS / "java").glob("*.java")
    subprocess.run(["javac", "-cp", jars, "-d", tmp_path, *programs], check=True, timeout=120)
    command = ["java", "-Xmx128m", "-cp", f"{tmp_path}:{jars}", "ReadResults"]
    await check_consumer(kafka.bootstrap, prefix, command, tmp_path)


@needs("npm")
@pytest.mark.timeout(900)  # the first time, it installs the libraries
async def test_the_consumer_in_node(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules(CLIENTS / "node"))
    program = shutil.copy(CLIENTS / "node" / "results.mjs", tmp_path)
    await check_consumer(kafka.bootstrap, prefix, ["node", program], tmp_path)


@needs("go")
@pytest.mark.timeout(900)  # the first build compiles the libraries: minutes on busy cores
async def test_the_consumer_in_go(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    program = tmp_path / "results"
    subprocess.run(["go", "build", "-mod=readonly", "-o", program, "."], cwd=CLIENTS / "go", check=True, timeout=900)
    await check_consumer(kafka.bootstrap, prefix, [str(program)], tmp_path)
