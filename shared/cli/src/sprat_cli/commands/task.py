"""`sprat task init`, `model` and `check`: tasks of your own, each a file beside the policy."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from sprat.base.errors import UserError
from sprat.base.file_guard import check_writers
from sprat_cli.app import group_help, make_app
from sprat_cli.options import Json, argument, option
from sprat_cli.terminal import printable, say, say_json
from sprat_contracts.thresholds import nearest_levels
from sprat_operations.chosen_policy import folder_for_tasks
from sprat_operations.goals import rules_in_words
from sprat_policy import TaskFile, TaskKind, check_model_fits, check_task_name, load_task_file, set_task_model

if TYPE_CHECKING:
    from sprat_inference.card import Card

app = make_app(epilog=group_help("task", "init sentiment --labels positive,negative,neutral", "check"))

_INIT = """\b
Examples:
  sprat task init sentiment --labels positive,negative,neutral
  sprat task init topics --kind multi_label --artefact topics-model
  sprat task init pii --kind pii
  sprat task init summary --kind text --instruction "Summarise the text in one sentence."
  sprat task init queue --label "billing=invoices, refunds" --label "technical=something does not work" --language en

\b
Exit codes:
  0  written
  2  a name or an option is wrong, or the file is there already"""
_MODEL = """\b
Examples:
  sprat task model desk desk-model

\b
What else the file says stays: what labels mean, languages, goal, the instruction, comments.

\b
Exit codes:
  0  written
  2  the task has no file, or DIR holds no model for it"""
_CHECK = """\b
Examples:
  sprat task check
  sprat task check sentiment
  sprat task check tasks/sentiment.yaml --json

\b
Exit codes:
  0  valid
  2  not valid: each line names file, line, field and what is wrong"""

_KEEP_PII = 0.95
"""That of its card; without one in the file, the router takes 0.8."""
_DEFAULT_PII = 0.8

_HEAD = """\
# The task {name}: texts ask for it by "tasks": {{"{name}": {{}}}}. `sprat task check` checks this file.
# Services read it when they start; `sprat topics create` makes its topics.
"""
_ARTEFACT = """
# The folder of its model, from this folder; `sprat train` makes one. Without a model, the label answers whose name and
# meaning are nearest to the text.
#artefact: ../models/{name}
"""
_NO_ARTEFACT = """
# The folder of its model, from this folder; `sprat train multi-label` makes one. Without a model, the frontier answers
# every text.
#artefact: ../models/{name}
"""
_GOAL = """
# Of the answers kept, this share is to be right; the others go to the frontier. Left out: what its model recommends.
{goal}
"""
_MASKED_AT = """
# A masked text is kept at this confidence or above: the chance that nothing personal is left. The others end as
# `degraded`: no large model is asked, for it would have to see them.
keep_at: {keep_at}
"""
_INSTRUCTION = """
# What the frontier is told beside the labels and what they mean. It leaves with every hard case: nothing confidential.
#instruction: Judge what the writer feels, not what the text is about.
"""
_LENGTH = """
# The most characters that it may write; a longer answer is none.
max_characters: 2000
"""


@app.callback()
def _task() -> None:
    """Add tasks of your own: each is a file in the folder `tasks` beside the policy."""


@app.command(epilog=_INIT, short_help="Write a task file.")
def init(
    name: Annotated[str, argument("NAME", "Of the task, as texts ask for it.")],
    *,
    kind: Annotated[
        TaskKind,
        typer.Option(
            help="classification: one label of a list; multi_label: several of them; pii: the personal data of a "
            "text, and the text without it; text: written by a large model."
        ),
    ] = "classification",
    labels: Annotated[str | None, option("A,B,…", "The labels, separated by commas. [default: the model's]")] = None,
    label: Annotated[list[str] | None, option("LABEL=MEANING", "A label and what it means; can be repeated.")] = None,
    instruction: Annotated[str | None, option("TEXT", "What a large model is told.")] = None,
    language: Annotated[
        list[str] | None, option("TAG", "Of the texts; can be repeated. [default: its model's]")
    ] = None,
    goal: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="The share right that is wanted of kept answers, as 0.97. [default: what its model recommends]",
        ),
    ] = None,
    artefact: Annotated[Path | None, option("DIR", "The folder of its model.", file_okay=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a task file into the folder of task files: SPRAT_TASKS, else `tasks` beside the policy or here."""
    check_task_name(name, f"sprat task init {name}")
    if kind == "text" and (labels or label or artefact):
        raise UserError("a task of the kind text has neither labels nor a model: a large model writes its answer")
    if kind == "text" and not instruction:
        raise UserError("a task of the kind text needs --instruction TEXT: what is to be written about a text")
    if goal is not None and nearest_levels(goal) != (goal,):
        raise UserError(f"--goal {goal:g}: no such goal; the nearest: {' and '.join(map(str, nearest_levels(goal)))}")
    if kind == "pii" and (labels or label or artefact or instruction):
        raise UserError("a task of the kind pii has neither labels nor a model of its own, and no large model is asked")
    card = None if artefact is None else _card(artefact)
    from_card = _labels_of(card, kind, artefact) if artefact is not None and not labels and not label else ()
    named = dict.fromkeys(from_card, "")
    meanings = named or (_meanings(labels, label or ()) if kind in {"classification", "multi_label"} else {})
    folder = folder_for_tasks()
    path = folder / f"{name}.yaml"
    if path.exists() and not force:
        raise UserError(f"{path} is there already; --force writes over it")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)  # whatever the umask: what a group can write is not read
    check_writers(folder)
    before = path.read_bytes() if path.exists() else None
    model = None if artefact is None else os.path.relpath(artefact, folder)
    path.touch(mode=0o644)
    path.write_text(_written(name, kind, meanings, language or (), goal, model, instruction), encoding="utf-8")
    try:
        load_task_file(path)
    except UserError:
        path.unlink() if before is None else path.write_bytes(before)
        raise
    say(f"{path} is written")
    if from_card:
        say(printable(f"its labels are those of the card of {artefact}: {', '.join(from_card)}"))
    meaning = "say in it what each label means; " if meanings and not all(meanings.values()) else ""
    say(
        f"next: {meaning}sprat task check; then sprat up, which reads the file when it starts. Where services run "
        "already: sprat topics create, start the task's service, and restart router and frontier"
    )


@app.command(epilog=_MODEL, short_help="Name the model of a task in its file.")
def model(
    name: Annotated[str, argument("NAME", "Of the task.")],
    folder: Annotated[Path, argument("DIR", "The folder of the model.", file_okay=False)],
) -> None:
    """Write the model of a task into the file of the task; all else in it stays."""
    path = _named(Path(name), folder_for_tasks())
    card = _card(folder)
    if card is None:
        raise UserError(f"{folder}: there is no model that can be read; train one, or add one: sprat models add")
    check_model_fits(path.stem, load_task_file(path), card.labels or (), several=card.kind == "multi_label")
    before = set_task_model(path, os.path.relpath(folder, path.parent))
    say(printable(f"{path}: artefact is now {os.path.relpath(folder, path.parent)}, was {before.artefact or 'none'}"))
    say("next: start sprat up again; where services run already, restart the task's service, router and frontier")


@app.command(epilog=_CHECK, short_help="Check task files.")
def check(
    file: Annotated[list[Path] | None, argument("FILE|NAME", "Task files, or names. [default: all]")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Print what is wrong in task files, by line and field, or unlike their models; or what they say."""
    folder = folder_for_tasks()
    paths = [_named(each, folder) for each in file or ()] or sorted(folder.glob("*.yaml"))
    if not paths:
        raise UserError(f"there is no task file in {folder}: sprat task init writes one")
    problems: list[str] = []
    tasks: dict[Path, TaskFile] = {}
    if folder.resolve() in {path.parent.resolve() for path in paths}:
        try:
            check_writers(folder)
        except UserError as error:
            problems.append(str(error))
    for path in paths:
        try:
            task = load_task_file(path)
            _check_model(path, task)
            tasks[path] = task
        except UserError as error:
            problems.append(str(error))
    for path, task in tasks.items():
        if as_json:
            say_json({"type": "task", "name": path.stem, "file": str(path), "task": task.model_dump(mode="json")})
        else:
            for line in _described(path, task):
                say(line)
    if problems:
        raise UserError("not valid:\n" + "\n".join(problems))


def _check_model(path: Path, task: TaskFile) -> None:
    """Check that the model of a task gives the labels of its file, where it is there: it may be made later.

    Raises:
        UserError: it does not, as its service would say.
    """
    if task.artefact is None or (card := _card(path.parent / task.artefact.expanduser())) is None:
        return
    try:
        check_model_fits(path.stem, task, card.labels or (), several=card.kind == "multi_label")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _named(file: Path, folder: Path) -> Path:
    """Return a task file as given, or that of the task of this name in the folder.

    Raises:
        UserError: it looks like the name of a task, and has no file.
    """
    if file.exists() or file.suffix or file.parent != Path():
        return file
    path = folder / f"{file.name}.yaml"
    if not path.exists():
        raise UserError(f"there is no task file {path}; give a file: {folder / 'NAME.yaml'}")
    return path


def _described(path: Path, task: TaskFile) -> Iterator[str]:
    """Return what a task file says, in words."""
    yield printable(f"{path} is valid: the task {path.stem}, {task.kind}")
    if task.kind == "pii":
        yield "  masks      names, addresses, numbers and secrets, and the policy's own terms and patterns"
        yield printable(f"  languages  {', '.join(task.languages) or 'those in which names are found'}")
        yield printable(f"  kept       by {f'keep_at {_DEFAULT_PII:g}' if task.keep_at is None else task.rule('', '')}")
        return
    if not task.has_labels:
        yield printable(f"  writes     at most {task.max_characters:,} characters, by the frontier or tiers alone")
        if task.languages:
            yield "  languages  any: `languages` restricts nothing where no small model answers; take it out"
        return
    yield printable(f"  labels     {', '.join(task.labels)}")
    yield printable(f"  languages  {', '.join(task.languages) or _languages_read(task)}")
    without = "the nearest label answers" if task.has_small_model else "the frontier or tiers alone answer"
    yield printable(f"  model      {task.artefact or f'none: {without}'}")
    if task.has_small_model:
        yield printable(f"  answers    {'; '.join(rules_in_words(task))}")


def _languages_read(task: TaskFile) -> str:
    """Return which languages a task without `languages` has."""
    if task.artefact is not None:
        return "those of its model"
    if not task.has_small_model:
        return "any"
    from sprat_encoder.zero_shot import languages  # noqa: PLC0415 - slow, and only used here

    return f"{', '.join(languages())}: those of the shared encoder"


def _card(artefact: Path) -> "Card | None":
    """Return the card of a model; None where it cannot be read: it may be made later."""
    from sprat_inference.artefact import BrokenArtefact, load_artefact  # noqa: PLC0415 - slow, and only used here

    try:
        return load_artefact(artefact).card
    except BrokenArtefact:
        return None


def _labels_of(card: "Card | None", kind: TaskKind, artefact: Path) -> tuple[str, ...]:
    """Return the labels of a model's card.

    Raises:
        UserError: there is no card, it has none, or the model is not for tasks of this kind.
    """
    if card is None:
        raise UserError(
            f"{artefact}: there is no model whose card names the labels; name them with --labels positive,negative, or "
            "train the model first"
        )
    if not card.labels:
        raise UserError(f"{artefact} is no model with labels; a task needs one, and two labels or more")
    of_card = "multi_label" if card.kind == "multi_label" else "classification"
    if of_card != kind:
        raise UserError(f"{artefact} is a model for tasks of the kind {of_card}: add --kind {of_card}")
    return card.labels


def _meanings(labels: str | None, described: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Return label → what it means, "" where that is not said.

    Raises:
        UserError: there are fewer than two, or one is given twice.
    """
    named = [(each.strip(), "") for each in (labels or "").split(",") if each.strip()]
    for word in described:
        label, _, meaning = word.partition("=")
        named.append((label.strip(), meaning.strip()))
    found: dict[str, str] = {}
    for label, meaning in named:
        if not label or label in found:
            raise UserError(f"the label {label!r} is given twice" if label else "a label has no name")
        found[label] = meaning
    if len(found) < 2:
        raise UserError(
            "a task needs two labels or more: --labels positive,negative; or those of a model: --artefact DIR"
        )
    return found


def _written(
    name: str,
    kind: str,
    meanings: Mapping[str, str],
    languages: tuple[str, ...] | list[str],
    goal: float | None,
    artefact: str | None,
    instruction: str | None,
) -> str:
    """Return the content of a task file, with comments."""
    fields: dict[str, object] = {"kind": kind} | ({"labels": dict(meanings)} if meanings else {})
    if languages:
        fields["languages"] = list(languages)
    text = _HEAD.format(name=name) + _yaml(fields)
    if kind == "text":
        return text + _yaml({"instruction": instruction or ""}) + _LENGTH
    if kind == "pii":
        return text + _MASKED_AT.format(keep_at=_KEEP_PII)
    without = _NO_ARTEFACT if kind == "multi_label" else _ARTEFACT
    text += without.format(name=name) if artefact is None else "\n" + _yaml({"artefact": artefact})
    if kind == "classification" or artefact is not None:
        text += _GOAL.format(goal="#goal: 0.97" if goal is None else f"goal: {goal:g}")
    return text + ("\n" + _yaml({"instruction": instruction}) if instruction else _INSTRUCTION)


def _yaml(fields: Mapping[str, object]) -> str:
    text = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=100)
    return text.replace(": ''\n", ":\n")  # a label without a meaning
