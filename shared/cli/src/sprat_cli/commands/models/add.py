"""`sprat models add`: turn a model of a Hugging Face hub, or of a folder, into an artefact."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from sprat.base.errors import UserError
from sprat_cli.app import explain_missing_package
from sprat_cli.options import Json, argument, check_goal, option
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import remark, say, say_json
from sprat_operations.chosen_policy import chosen_tasks
from sprat_policy import TaskFiles

if TYPE_CHECKING:
    from sprat_inference.card import Card
    from sprat_training.adding import AddedModel
    from sprat_training.evaluation.decision import Decision

EPILOG = """\b
Examples:
  sprat models add owner/banking-intents --task intent --calibrate ours.csv
  sprat models add owner/banking-intents@3f2a91c --task intent --test texts.txt --output banking
  sprat models add ./fine-tuned --task intent --quantization float32 --licence Apache-2.0
  sprat models add owner/sentiment --task sentiment
  sprat models add owner/names --task ner
  sprat models add owner/opus-mt-de-en --task translation
  sprat models add owner/nllb --task translation --language de-en --language fr-en

\b
MODEL is an id of the hub, with @ and a branch, tag or commit if it is not the latest, or a folder that save_pretrained
wrote. For the task
  intent       a …ForSequenceClassification of BERT, DistilBERT, RoBERTa, XLM-RoBERTa or CamemBERT, one label a text
  ner          a …ForTokenClassification of the same five
  translation  Marian (OPUS-MT), M2M-100, NLLB, mBART-50, T5 or mT5
A task from a file (tasks/NAME.yaml) takes what intent takes, with the labels of its file. One of kind: multi_label
takes models of multi_label_classification; the rows of --calibrate then have several labels, as billing|delivery.
Other architectures that label texts or tokens (DeBERTa, ModernBERT, ELECTRA, ALBERT, …) are taken as ONNX where the
repository has onnx/model_quantized.onnx (int8) or onnx/model.onnx; --export-onnx makes that from the weights, with
torch. The service then needs 'sprat-inference[onnx]'.
Only configurations, tokenizers, safetensors and ONNX are read. No code of a repository is run.
HF_ENDPOINT names a mirror that speaks the hub's API; without one, give the folder instead of the id. HF_TOKEN is for
models that need consent, HF_HUB_OFFLINE=1 uses the cache alone.
The converted model must give the --test texts, or 200 shipped ones, the labels of the original: 99 % of them in
float32, 97 % in int8; for ner their tokens. Translations must have a chrF of 95 against those of the
original. That needs torch and transformers:
pip install --find-links dist 'sprat-inference[hub]'.
--calibrate makes its confidence a probability, from 50 rows on; rows with the label of texts outside count as such.
Take rows that the model was not trained on, else its confidence is too high. Where none is wrong, it stays as it is.
For ner each line is {"text": "…", "entities": [{"start": 0, "end": 4, "label": "PER"}]}, offsets in code points; for
translation {"text": "…", "reference": "…"}, with language and target where the model has several.

\b
Exit codes:
  0  the artefact is written
  2  wrong usage, or the model cannot be taken; the message says what to do"""

_OUTSIDE_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_INSTALL_HUB: Final = (
    "pip install --find-links dist 'sprat-inference[hub]' (dist: from make wheels; in a checkout: -e "
    "'shared/inference[hub]')"
)
_MAX_NAME = 64
_SHOWN = 12
_TASKS = ("intent", "ner", "translation")
"""Tasks of Sprat itself that models are added for."""


def add(
    model: Annotated[str, argument("MODEL", "ID[@REVISION], or a folder.")],
    *,
    task: Annotated[str, option("TASK", "The task that it answers: intent, ner, translation, or one of a file.")],
    output: Annotated[Path | None, option("DIR", "The artefact. [default: the model's own name]")] = None,
    calibrate: Annotated[Path | None, option("FILE", "Texts with their right answers, to calibrate it on.")] = None,
    test: Annotated[Path | None, option("FILE", "Texts to compare it with the original on.")] = None,
    quantization: Annotated[
        Literal["int8", "float32"], typer.Option(help="Of the weights; float32 needs four times the memory.")
    ] = "int8",
    task_prefix: Annotated[str | None, option("WORDS", "Before every text, for T5. [default: its config's]")] = None,
    language: Annotated[
        list[str] | None,
        option("TAG", "That it reads; may be repeated; of translations a pair, as de-en. [default: what it states]"),
    ] = None,
    outside_label: Annotated[str | None, option("LABEL", "Its label for texts outside all others.")] = None,
    licence: Annotated[str | None, option("SPDX", "Of the weights. [default: its README's]")] = None,
    export_onnx: Annotated[
        bool, typer.Option("--export-onnx", help="Make the network as ONNX from the weights, with torch.")
    ] = False,
    goal: Annotated[float | None, option("SHARE", "Share right of the kept answers. [default: the task's]")] = None,
    outside_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of your traffic outside every label.")
    ] = 0.1,
    no_compare: Annotated[bool, typer.Option("--no-compare", help="Do not compare it with the original.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Add it although it differs from the original.")] = False,
    as_json: Json = False,
) -> None:
    """Turn a model from a Hugging Face hub or a folder into an artefact that a service can serve."""
    check_goal(goal)
    files = TaskFiles() if task in _TASKS else chosen_tasks()
    labels = _labels_of(task, files)
    several = labels is not None and files[task].kind == "multi_label"
    _check_options(
        task if labels is None else "intent",
        {
            "--outside-label": ("intent", outside_label),
            "--export-onnx": ("intent or ner", export_onnx or None),
            "--task-prefix": ("translation", task_prefix),
        },
    )
    with explain_missing_package("models add", _INSTALL_HUB):
        from sprat_inference.converters.hub import find_source  # noqa: PLC0415 - heavy; help must be quick
        from sprat_inference.converters.language_codes import parse_pair  # noqa: PLC0415 - as above
        from sprat_training.adding import AddConfig, add_classifier, add_token_classifier, add_translator  # noqa: PLC0415 - as above
        from sprat_training.datasets.reader import read_labelled, read_texts  # noqa: PLC0415 - as above

        pairs = [parse_pair(pair) for pair in language or ()] if task == "translation" else []
        source = find_source(model)
    if (stated := licence or source.licence) is None:
        raise UserError(f"{model}: its README states no licence; find it out, and name it with --licence")
    model_name = _OUTSIDE_A_NAME.sub("-", source.name).strip("-._")[:_MAX_NAME]
    folder = output or Path(model_name)
    rows = None if calibrate is None or task in {"ner", "translation"} else read_labelled(calibrate, several=several)
    texts = None if test is None else read_texts(test).texts
    config = AddConfig(
        task=task,
        name=model_name,
        output=folder,
        licence=stated,
        languages=tuple(language) if language and not pairs else source.languages,
        outside_label=outside_label,
        labels=labels,
        several=several,
        export_onnx=export_onnx,
        quantization=quantization,
        compare=not no_compare,
        force=force,
        goal=goal,
        outside_share=outside_share,
    )
    with ProgressBar() as bar:
        if task == "translation":
            added = add_translator(source, config, pairs, task_prefix, texts, calibrate, bar.show)
        elif task == "ner":
            added = add_token_classifier(source, config, texts, calibrate, bar.show)
        else:
            added = add_classifier(source, config, texts, rows, bar.show)
    if as_json:
        say_json({"type": "added", "folder": str(folder), **_facts(added)})
        return
    _say(added, folder, source.where, task, files)


def _labels_of(task: str, files: TaskFiles) -> tuple[str, ...] | None:
    """Return the labels of a task from a file; None for a task of Sprat itself.

    Raises:
        UserError: there is no such task, or a small model cannot answer it.
    """
    if task in _TASKS:
        return None
    if task not in files:
        own = f", and for tasks from files: {', '.join(files)}" if files else ""
        raise UserError(
            f"--task {task}: models are added for {', '.join(_TASKS)}{own}; to make it a task, write its file: sprat "
            f"task init {task} --labels …, with the labels of the model"
        )
    if not files[task].has_labels:
        raise UserError(f"--task {task}: has no labels: a large model alone answers it")
    return tuple(files[task].labels)


def _check_options(task: str, options: Mapping[str, tuple[str, object]]) -> None:
    """Check that each option given is for the task."""
    for name, (of, given) in options.items():
        if given is not None and task not in of.split():
            raise UserError(f"{name}: is for --task {of}, not {task}")


def _facts(added: "AddedModel") -> dict[str, object]:
    card, decision = added.card, added.decision
    return {
        "name": card.name,
        "version": card.version,
        "licence": card.licence,
        "labels": len(card.labels or ()),
        "languages": list(card.languages),
        "targets": list(card.targets),
        "needs": added.needs,
        "agreement": None if added.agreement is None else asdict(added.agreement),
        "decision": None if decision is None else decision.as_json,
    }


def _say(added: "AddedModel", folder: Path, where: str, task: str, files: TaskFiles) -> None:
    card = added.card
    say(f"{folder}: {card.name}, version {card.version}, from {where}")
    say(f"licence {card.licence}; {_what(card)}")
    if added.agreement is None:
        remark("it was not compared with the original")
    else:
        say(added.agreement.summary())
    entry, place = _own_entry(card.name, task, files)
    if added.decision is not None:
        _say_measured(added.decision, card)
        if not added.decision.new.all.kept:
            return
    else:
        remark(
            "its confidence is not calibrated (--calibrate): nothing is kept unless your policy says so; to keep its "
            f"answers from a number on, write into {place}:"
        )
        remark(f"  {entry.format('keep_at: YOURS, uncalibrated: keep')}")
    if added.needs is not None:
        remark(f"its service needs ONNX Runtime: {added.needs}")
    remark(f"serve it:  sprat up --model {task}/{card.name}={folder} --policy FILE")
    if task in files:
        remark(f"or as the model of the task, in {place}:  artefact: {os.path.relpath(folder, files.folder or Path())}")


def _say_measured(decision: "Decision", card: "Card") -> None:
    """Print what is kept of the rows to calibrate on, and what they do not show."""
    from sprat_cli.decision_report import decision_lines  # noqa: PLC0415 - heavy; help must be quick
    from sprat_training.thresholds.levels import nothing_reaches  # noqa: PLC0415 - as above

    for line in decision_lines(decision):
        say(line)
    if not decision.new.all.kept:
        remark(nothing_reaches(decision.new.thresholds, decision.goal.accuracy))
    kept = decision.new.kept
    if kept is not None and kept.right.all():
        remark(
            "none of these rows is wrong, so they do not say when it is: its confidence stays the model's own "
            "probability; harder rows, and texts outside every label, would calibrate it"
        )
    if card.labels and card.task != "ner" and not card.calibration.outside_share:
        remark(
            "none of these rows is outside every label, so how sure it is of such a text is not measured, and it may "
            "keep one with a label; give some the label oos, or that of --outside-label"
        )


def _own_entry(name: str, task: str, files: TaskFiles) -> tuple[str, str]:
    """Return the entry of a model with rules of its own, with {} for them, and the file in which it stands."""
    entry = f"models: {{{{{name}: {{{{{{}}}}}}}}}}"
    if task in files:
        return entry, f"{(files.folder or Path()) / task}.yaml"
    return f"tasks: {{{{{task}: {{{{{entry}}}}}}}}}", "your policy file"


def _what(card: "Card") -> str:
    """Return what a model does, in a few words."""
    if card.targets:
        return f"translates {_some(card.languages)} into {_some(card.targets)}"
    return f"{len(card.labels or ())} labels; reads {_some(card.languages) or 'texts of any language'}"


def _some(tags: Sequence[str]) -> str:
    return ", ".join(tags[:_SHOWN]) + (f" and {len(tags) - _SHOWN} more" if len(tags) > _SHOWN else "")
