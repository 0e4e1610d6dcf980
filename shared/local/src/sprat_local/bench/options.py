"""The measured installation: the service of one task and the router, with new topics, and every answer kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Final

from sprat.base.settings import section_prefix
from sprat_contracts import TASKS
from sprat_local.installation.options import Options
from sprat_operations.services import program_of
from sprat_policy import TASKS_FOLDER, TaskFile, TaskFiles, load_task_files

POLICY: Final = json.dumps({"tasks": {task: {"keep_at": 0, "uncalibrated": "keep"} for task in TASKS}})
"""Every answer of the small model is kept: a benchmark asks no frontier. JSON is YAML."""


def bench_options(
    task: str,
    folder: Path,
    *,
    artefact: Path | None = None,
    task_file: TaskFile | None = None,
) -> Options:
    """Return the options of the measured installation.

    Args:
        task: whose service is measured.
        folder: for the policy file and the file of the task.
        artefact: the model; None: the one that the service would load.
        task_file: the file of a task of the user's own.
    """
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, "utf-8")
    return Options(
        prefix=f"sprat-bench-{token_hex(4)}",
        policy=policy,
        task_files=TaskFiles() if task_file is None else _write_task_file(task, task_file, folder / TASKS_FOLDER),
        services=("router", task),
        service_environment={task: artefact_variable(task, artefact)},
        environment={"SPRAT_LOG_LEVEL": "warning"},
        restart=False,  # the death of a process ends the run: its figures would be useless
    )


def artefact_variable(task: str, artefact: Path | None) -> Mapping[str, str]:
    """Return the variable that names the artefact of a task's service; nothing for the service's own."""
    prefix = section_prefix(program_of(task))
    return {} if artefact is None else {f"{prefix}ARTEFACT": str(artefact.absolute())}


def _write_task_file(task: str, file: TaskFile, folder: Path) -> TaskFiles:
    """Write the file of the task as it is, but that every answer is kept; return the files to run with."""
    said = file.model_dump(mode="json", exclude_defaults=True, exclude={"models"})
    folder.mkdir(exist_ok=True)
    kept = said | {"keep_at": 0, "uncalibrated": "keep", "out_of_scope": "keep"}
    (folder / f"{task}.yaml").write_text(json.dumps(kept), "utf-8")
    return load_task_files(folder)
