"""`docs/write-a-service.md`: made in a copy of the checkout, its service answers a text and breaks no test."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.readme import DOCS, ROOT
from support.up_process import UpProcess

PAGE = DOCS / "write-a-service.md"
COPIED = (
    "contracts",
    "services",
    "shared",
    "compose",
    "observability",
    "docs",
    "tests",
    "pyproject.toml",
    "Makefile",
    "LICENSE",
)
FOLLOWS = {
    "pyproject.toml": '"sprat_urgency",',
    "shared/chassis/pyproject.toml": '"sprat-urgency==0.1.0",',
    "contracts/schemas/dev.sprat.text.submitted.v1.json": "Say how urgent the text is.",
    "compose/Dockerfile": 'title=sprat-urgency org.opencontainers.image.description="Sprat service: urgency"',
    "compose/compose.yaml": "SPRAT_URGENCY__ARTEFACT:-/opt/sprat/sprat_urgency/artefacts/default",
    "compose/compose.kafka-tls.yaml": "SPRAT_KAFKA__SASL_USERNAME: urgency",
    "compose/compose.observability.yaml": "urgency: *exported",
    "compose/.env.example": "#KAFKA_URGENCY_PASSWORD=",
    "compose/observability/prometheus.yml": "sprat-urgency",
    "compose/kubernetes/chart/templates/_tasks.tpl": "urgency",
    "observability/registry/attributes.yaml": "`urgency`",
}
NAMES_TASKS = (
    "test_cli_completion",
    "test_cli_doctor_machine",
    "test_cli_help",
    "test_cli_newcomers",
    "test_cli_task",
    "test_local_bench",
    "test_operations_lag",
    "test_policy_load",
)
"""Files of tests/unit whose expectations name every task: those of the list, with a further one, too."""


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_the_service_of_the_page_is_made_and_answers(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    tree, site = tmp_path / "sprat", tmp_path / "site"
    tree.mkdir()
    files = run("git", "ls-files", "-z", *COPIED, cwd=ROOT).split("\0")
    run("cp", "--parents", "--no-dereference", *filter(None, files), str(tree), cwd=ROOT)

    folder, model, recipe = re.findall(r"^```(?:bash|python)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    run("bash", "-euc", folder, cwd=tree)
    made, makes = tree / "services/urgency", tree / "recipes/urgency/make.py"
    (made / "src/sprat_urgency/model.py").write_text(model, "utf-8")
    makes.parent.mkdir(parents=True)
    makes.write_text(recipe, "utf-8")
    (tree / ".venv").symlink_to(sys.prefix)
    (command,) = re.findall(r"`(PYTHONPATH=.* -m recipes\.urgency\.make)`", text)
    run("bash", "-euc", command, cwd=tree)
    sources = [path.read_text("utf-8") for path in (made / "pyproject.toml", *made.rglob("*.py"))]
    assert len(sources) == 4
    assert not re.search(r"(?<!Programming )language", "".join(sources), re.IGNORECASE)
    for check in (("check", "--ignore", "ANN,D"), ("format", "--check")):  # types and docstrings are left out
        run(sys.executable, "-m", "ruff", *check, "--no-cache", str(made), str(makes.parent), cwd=tree)
    (line,) = re.findall(r"`(\"urgency\": OwnTask.*,)`", text)
    tasks = tree / "contracts/src/sprat_contracts/base.py"
    tasks.write_text(re.sub(r"(OWN_TASKS: .* = \{\n(?:    .*\n)*)", rf"\1    {line}\n", tasks.read_text("utf-8")))

    venv = Path(sys.prefix)
    env = os.environ | {"PYTHONPATH": f"{tree / 'contracts/src'}:{site}"}
    run("make", f"VENV={venv}", f"--old-file={venv}/.installed", "generate", cwd=tree, env=env)
    for name, line in FOLLOWS.items():
        assert line in (tree / name).read_text("utf-8"), name
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    run(sys.executable, "-m", "pip", *install, str(tree / "services/urgency"), cwd=tmp_path)
    unit = [f"tests/unit/{name}.py" for name in NAMES_TASKS]
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *unit, cwd=tree, env=env)

    up = UpProcess(cwd=tmp_path, env=env)
    try:
        up.wait_ready(within_s=150)
        command = ("send", "--task", "urgency", "--json", "--bootstrap", up.bootstrap)
        said = run(
            sys.executable, "-m", "sprat_cli", *command, "the line is down, come immediately", cwd=tmp_path, env=env
        )
    finally:
        up.interrupt()
        up.end()
    result = json.loads(said.splitlines()[-1])["result"]
    assert (result["task"], result["source"], result["output"]["label"]) == ("urgency", "small", "urgent")
