"""Task files: `tasks/NAME.yaml` beside the policy adds the task NAME to an installation."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat.base.labels import label_problem, look_alike
from sprat.base.settings import KafkaSettings, ProcessSettings, ServiceSettings
from sprat_contracts import OUTPUTS, TASKS, IntentOutput, LabelsOutput, MaskedOutput, Output, TaskTable, TextOutput
from sprat_contracts.base import TASK_NAME
from sprat_contracts.tasks import RESERVED
from sprat_policy.load import read_file, section_of
from sprat_policy.task_policy import BY_MODEL, OUT_OF_SCOPE, IntentModelPolicy, NamedModel, OutOfScope, TaskRules

TASKS_FOLDER: Final = "tasks"
SUFFIX: Final = ".yaml"
MIN_LABELS: Final = 2
MAX_LABELS: Final = 1_000

TaskKind = Literal["classification", "multi_label", "pii", "text"]
FORMS: Final[Mapping[str, type[Output]]] = {
    "classification": IntentOutput,
    "multi_label": LabelsOutput,
    "pii": MaskedOutput,
    "text": TextOutput,
}
"""Kind of a task → form of its output."""

_LIKE_A_PLACEHOLDER: Final = re.compile(r"\[\s*[a-z][a-z0-9_-]*[\s_-]+[0-9]+\s*\]", re.IGNORECASE)


def _check_label(label: str) -> str:
    if label != label.strip():
        raise PydanticCustomError("label", "begins or ends with a blank")
    if not label.isprintable():
        raise PydanticCustomError("label", "holds a character that cannot be seen")
    if _LIKE_A_PLACEHOLDER.search(unicodedata.normalize("NFKC", label)):
        raise PydanticCustomError("label", "looks like the placeholder of a masked value, as [PERSON_1]")
    if problem := label_problem(label):
        raise PydanticCustomError("label", "{problem}", {"problem": problem})
    return label


Label = Annotated[
    str,
    Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="a label's name"),
    AfterValidator(_check_label),
]
Description = Annotated[str, BeforeValidator(lambda given: "" if given is None else given), Field(max_length=500)]


class TaskFile(TaskRules):
    """A task: what its answers are, which model gives them, which of them are kept, and what a large model is told."""

    # Its own `languages` is the list of those that it reads.
    replaced: ClassVar[Mapping[str, str]] = {
        "keep_at_by_language": "in the policy's section of this task languages: {de: {keep_at: 0.95}}"
    }
    out_of_scope: Annotated[OutOfScope | None, Field(description=OUT_OF_SCOPE)] = None
    models: Annotated[Mapping[NamedModel, IntentModelPolicy], Field(description=BY_MODEL)] = {}
    kind: Annotated[
        TaskKind,
        Field(
            description="classification: one label of a list, or none; multi_label: several of them, or none; pii: the "
            "personal data of a text, and the text without it; text: what a large model writes"
        ),
    ]
    labels: Annotated[
        Mapping[Label, Description],
        Field(
            max_length=MAX_LABELS,
            description="a section with a line for each label, two or more, as refund: the writer wants money back",
        ),
    ] = {}
    languages: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")], ...],
        Field(description="a list of the languages of its texts, as [en, de]; left out: those of its model"),
    ] = ()
    artefact: Annotated[
        Path | None,
        Field(
            description="the folder of its model, from the folder of this file; left out: the nearest label answers, "
            "and where several may apply, a large model"
        ),
    ] = None
    instruction: Annotated[
        str,
        Field(max_length=2_000, description="what a large model is told beside the labels, at most 2000 characters"),
    ] = ""
    max_characters: Annotated[
        int, Field(ge=1, le=20_000, description="1 to 20000: the most characters that a large model may write")
    ] = 2_000

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.has_labels and len(self.labels) < MIN_LABELS:
            raise PydanticCustomError(
                "labels", "labels are needed, two or more: a section with a line for each, as refund: money back"
            )
        for label, other in look_alike(self.labels):
            said = {"label": label, "other": other}
            raise PydanticCustomError("labels", "the labels {other} and {label} look alike: keep one of them", said)
        if self.instruction and not self.instruction.strip():
            raise PydanticCustomError("instruction", "the instruction is blank; say something, or leave it out")
        if self.kind == "text" and not self.instruction:
            raise PydanticCustomError("instruction", "an instruction is needed: it says what is to be written")
        if self.kind == "pii" and self.instruction:
            raise PydanticCustomError("instruction", "a task of the kind pii has none: no large model is asked")
        if not self.has_labels and (self.labels or self.artefact):
            own = "a model of its own" if self.kind == "pii" else "a model"
            raise PydanticCustomError(
                "labels", "{message}", {"message": f"a task of the kind {self.kind} has neither labels nor {own}"}
            )
        return self

    @property
    def has_labels(self) -> bool:
        """Whether its answers are labels."""
        return self.kind in {"classification", "multi_label"}

    @property
    def has_levels(self) -> bool:
        """Whether a goal decides which answers are kept."""
        return self.has_labels

    @property
    def has_several_labels(self) -> bool:
        """Whether several of them may apply."""
        return self.kind == "multi_label"

    @property
    def has_small_model(self) -> bool:
        """Whether a small model can answer: one label and personal data need no artefact, several labels do."""
        return self.kind in {"classification", "pii"} or (self.kind == "multi_label" and self.artefact is not None)

    @property
    def form(self) -> type[Output]:
        """The form of its output."""
        return FORMS[self.kind]


def check_model_fits(task: str, file: TaskFile, labels: Sequence[str], *, several: bool) -> None:
    """Check that a model gives what the file of its task says.

    Args:
        task: its name.
        file: its file.
        labels: of the model.
        several: whether the model gives a text several labels.

    Raises:
        UserError: it is of another kind than the file, or its labels are not those of the file.
    """
    if several != (file.kind == "multi_label"):
        given = "several labels" if several else "one label"
        right = "multi_label" if several else "classification"
        raise UserError(
            f"the task {task} is of the kind {file.kind}, and its model gives a text {given}: write kind: {right}, or "
            "name another model"
        )
    fix = "write the same labels in both, or train the model again"
    if missing := [label for label in file.labels if label not in labels]:
        raise UserError(f"the task {task} has the label {missing[0]!r}, which its model does not know: {fix}")
    if surplus := [label for label in labels if label not in file.labels]:
        raise UserError(
            f"the model of the task {task} has the label {surplus[0]!r}, which its file does not have: {fix}"
        )


class TaskFiles(Mapping[str, TaskFile]):
    """The tasks of a folder by name, in alphabetical order."""

    def __init__(self, files: Mapping[str, TaskFile] | None = None, folder: Path | None = None) -> None:
        self.folder = folder
        """The folder that they were read from; None where there is none."""
        self._files = dict(files or {})

    @cached_property
    def table(self) -> TaskTable:
        """The tasks of this version and those of the folder."""
        return TaskTable({name: file.form for name, file in self._files.items()})

    def artefact(self, name: str) -> Path | None:
        """Return the folder with the model of a task; None where its file names none."""
        named = self._files[name].artefact
        return None if named is None else (self.folder or Path()) / named.expanduser()

    def thresholds(self, name: str) -> Path:
        """Return where the thresholds of a task stand whose model has no folder."""
        return (self.folder or Path()) / "thresholds" / f"{name}.json"

    def __getitem__(self, name: str) -> TaskFile:
        """Return the task of that name."""
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._files)


NO_FILES: Final = TaskFiles()


def tasks_folder(named: Path | None, policy: Path | None) -> Path | None:
    """Return the folder of task files; None where there is none.

    It is the one that the setting names, else `tasks` beside the policy file, or in the working folder without one.

    Raises:
        UserError: the setting names no folder.
    """
    if named is not None:
        if not named.is_dir():
            raise UserError(f"SPRAT_TASKS: there is no folder {named}; make one by `sprat task init`, or unset it")
        return named
    usual = (Path() if policy is None else policy.parent) / TASKS_FOLDER
    return usual if usual.is_dir() else None


def load_task_files(folder: Path | None) -> TaskFiles:
    """Read every task file of a folder, but hidden ones; None: there is none.

    Raises:
        UserError: one line for each problem, as `tasks/mood.yaml:2:1: labels: …`.
    """
    if folder is None:
        return NO_FILES
    try:
        check_writers(folder)
        named = (path for path in sorted(folder.glob("*")) if not path.name.startswith("."))
        paths = [path for path in named if path.suffix.lower() in {SUFFIX, ".yml"}]
        return TaskFiles({path.stem: load_task_file(path) for path in paths}, folder)
    except UserError as error:
        raise UserError(f"{error}\n{folder} is read as the folder of task files; SPRAT_TASKS names another") from None


def load_task_file(path: Path) -> TaskFile:
    """Read one task file.

    Raises:
        UserError: its name is that of no new task, or what is wrong in it, by line and field.
    """
    if path.suffix != SUFFIX:
        raise UserError(f"{path}: a task file ends in {SUFFIX}; rename it to {path.stem}{SUFFIX}")
    check_task_name(path.stem, path)
    return section_of(read_file(path), path, TaskFile)[0]


def check_task_name(name: str, where: Path | str) -> None:
    """Check that a task can be called so.

    Raises:
        UserError: it is the name of a task of this version, a reserved one, or the name of none.
    """
    if name in OUTPUTS:
        raise UserError(f"{where}: {name} is a task of Sprat itself ({', '.join(TASKS)}); give yours another name")
    if name in RESERVED:
        raise UserError(
            f"{where}: {name} is the name of a role, service or process of Sprat; give the task another name"
        )
    if not TASK_NAME.fullmatch(name):
        raise UserError(
            f"{where}: no name of a task; a small letter, then small letters, digits, '-' and '_', at most 32 in all"
        )


class TaskFilesSettings(ProcessSettings):
    """The settings of a process that knows the tasks from files."""

    policy: Annotated[Path | None, Field(description="The policy file.")] = None
    tasks: Annotated[
        Path | None, Field(description="Folder of the task files. Default: `tasks` beside the policy file.")
    ] = None
    _task_files: TaskFiles = PrivateAttr(NO_FILES)

    @property
    def task_files(self) -> TaskFiles:
        """The task files, as they were when the settings were read."""
        return self._task_files

    @model_validator(mode="after")
    def _read_task_files(self) -> "TaskFilesSettings":
        self._task_files = load_task_files(tasks_folder(self.tasks, self.policy))
        kafka: KafkaSettings = self.kafka.with_tasks(self._task_files.table)
        object.__setattr__(self, "kafka", kafka)  # frozen for all others
        return self


class TaskSettings(TaskFilesSettings, ServiceSettings):
    """The settings of a service that knows the tasks from files."""
