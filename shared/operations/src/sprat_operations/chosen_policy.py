"""Which policy and which task files a command reads: the one it is given, else those of the services' variables."""

from contextlib import suppress
from pathlib import Path

from pydantic_settings import SettingsConfigDict

from sprat.base.errors import UserError
from sprat.base.settings import VariableSettings
from sprat_operations import local_run
from sprat_operations.local_run import LocalRun
from sprat_policy import TASKS_FOLDER, DoorSigner, TaskFiles, load_policy, load_task_files, tasks_folder


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


def changed_since(run: LocalRun) -> list[Path]:
    """Return the policy and the files of tasks that say something else than when an installation read them."""
    if not run.files:  # an earlier version announced it
        return []
    now = run.files_now()
    return [Path(path) for path in sorted({*run.files, *now}) if run.files.get(path) != now.get(path)]


def refusal_of_door(tenant: str, source: str) -> str | None:
    """Return why the gateway could send no text of a tenant from a source, by the policy that its services read.

    None where it could, and where no policy is known here, or it is not valid: the services say so.
    """
    path, runs = chosen_policy(None), local_run.for_commands()
    if path is None and len(runs) == 1 and runs[0].policy:
        path = Path(runs[0].policy)
    refusal = None
    with suppress(UserError):
        refusal = None if path is None else DoorSigner(load_policy(path), {}).refusal(tenant, source)
    return None if refusal is None else refusal.detail
