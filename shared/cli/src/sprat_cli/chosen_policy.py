"""Which policy and which task files a command reads: the one it is given, else those of the services' variables."""

from pathlib import Path
from typing import Final

from pydantic_settings import SettingsConfigDict

from sprat.base.settings import VariableSettings
from sprat_cli.terminal import remark
from sprat_operations import local_run
from sprat_operations.local_run import SIMULATOR_HOST, LocalRun
from sprat_policy import TASKS_FOLDER, TaskFiles, load_task_files, tasks_folder

NO_POLICY: Final = "no policy (--policy FILE or SPRAT_POLICY): no terms or patterns of your own are masked"


class _PolicyVariable(VariableSettings):
    """`SPRAT_POLICY` and `SPRAT_TASKS`, from the environment or the file `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    policy: Path | None = None
    tasks: Path | None = None


def chosen_tasks(run: LocalRun | None = None) -> TaskFiles:
    """Return the task files of the folder that the services read.

    It is that of SPRAT_TASKS, else that of this user's `sprat up`, else `tasks` beside the policy file or here.

    Args:
        run: the `sprat up` that the command talks to; None: not known yet, so the only one that runs.

    Raises:
        UserError: one of them is not valid, or the setting names no folder.
    """
    variables = _PolicyVariable()
    if variables.tasks is None:
        runs = local_run.for_commands() if run is None else [run]
        if len(runs) == 1 and Path(runs[0].tasks or "-").is_dir():
            return load_task_files(Path(runs[0].tasks))
    return load_task_files(tasks_folder(variables.tasks, variables.policy))


def tasks_beside(policy: Path | None) -> TaskFiles:
    """Return the task files that services with this policy file read: those of SPRAT_TASKS, else those beside it.

    Without a policy file, they are in the working folder.

    Raises:
        UserError: one of them is not valid, or the setting names no folder.
    """
    return load_task_files(tasks_folder(_PolicyVariable().tasks, policy))


def folder_for_tasks() -> Path:
    """Return the folder of task files, where it may be that none is yet."""
    variables = _PolicyVariable()
    return variables.tasks or (Path() if variables.policy is None else variables.policy.parent) / TASKS_FOLDER


def chosen_policy(given: Path | None) -> Path | None:
    """Return the policy file given, else the one of `SPRAT_POLICY`; None if there is none."""
    return _PolicyVariable().policy if given is None else given


def policy_for_masking(given: Path | None, run: LocalRun | None = None) -> Path | None:
    """Return the policy file given, else that of `run`, else the one of `SPRAT_POLICY`.

    It says on standard error which one is that of a `sprat up`; and what is not masked where there is none.

    Args:
        given: the file that the command is given.
        run: this user's `sprat up` that the command talks to; None: there is none.
    """
    if given is None and run is not None and run.policy:
        remark(f"masked by the policy of your `sprat up`, {run.policy}")
        return Path(run.policy)
    policy = chosen_policy(given)
    if policy is None:
        remark(NO_POLICY)
    return policy


def changed_since(run: LocalRun) -> list[Path]:
    """Return the policy and the files of tasks that say something else than when an installation read them."""
    if not run.files:  # an earlier version announced it
        return []
    now = run.files_now()
    return [Path(path) for path in sorted({*run.files, *now}) if run.files.get(path) != now.get(path)]


def taken_inside(host: str) -> str:
    """Return what `inside` does to a server on one of its hosts that is said to be elsewhere, and what to do."""
    taken = f"`inside` takes every server on {host} inside: it gets texts whole, those of deny, too, and nothing is in "
    if host == SIMULATOR_HOST:
        return f"{taken}the audit. List 127.0.0.1 instead, and reach what is inside by that"
    return (
        f"{taken}the audit. Reach what is not inside by another name of the host (localhost for 127.0.0.1), or write "
        "no region for it (of the frontier: inside)"
    )
