"""Two versions of a model with labels, compared on the same texts."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.errors import UserError
from sprat_cli.assess.answers import SmallModelAnswers, answers_to_texts, check_labels
from sprat_cli.assess.as_trained import language_of, read_as_trained
from sprat_cli.assess.asked_task import INTENT, TaskOfModel
from sprat_cli.assess.new_texts import NewTexts, new_texts
from sprat_cli.assess.small_model import SmallModel, model_of_folder
from sprat_cli.chosen_policy import chosen_policy, chosen_tasks, remark_unread
from sprat_cli.compared_at import ComparedAt, compared_at
from sprat_cli.comparison import comparison_json, comparison_sentence, comparison_table, difference, judged
from sprat_cli.models.served_instead import served_as
from sprat_cli.options import check_asked_name
from sprat_cli.terminal import counted, printable, remark
from sprat_contracts import TASKS
from sprat_inference.label_sets import MULTI_LABEL
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import LabelledTexts, split_labels
from sprat_training.evaluation.comparison import Comparison, VersionAnswers, answers_of, set_answers_of
from sprat_training.evaluation.comparison import compare as compare_answers
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.label_set_data import as_flags
from sprat_training.model_card import previous_folder
from sprat_training.record import SeenRows, seen_by

_SHOWN_LABELS: Final = 6


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Texts with their right labels, which both versions read."""

    texts: NewTexts
    outside_label: str
    """The label of texts outside every label."""

    @property
    def data(self) -> LabelledTexts:
        """Return those that are compared."""
        return self.texts.data

    @property
    def outside(self) -> int:
        """Return how many texts have no label."""
        return self.data.labels.count(self.outside_label)


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions of a model: both give a text one label, or both several."""

    served: SmallModel
    new: SmallModel
    folders: tuple[Path, Path]

    @classmethod
    def of(cls, served: Path, new: Path, threads: int) -> "Versions":
        """Return the versions in two folders.

        Raises:
            UserError: one cannot be read, they are no models with labels of the same kind, or the same version.
        """
        one, other = (model_of_folder(folder, threads, said="") for folder in (served, new))
        for model, folder in ((one, served), (other, new)):
            if not model.card.labels or (model.card.task in TASKS and model.card.task != INTENT):
                raise UserError(f"{folder}: not a model of labels: only such models are compared")
        versions = cls(one, other, (served, new))
        if versions.several != (other.card.kind == MULTI_LABEL):
            many, single = (served, new) if versions.several else (new, served)
            raise UserError(f"{many} gives a text several labels, {single} one: they cannot be compared")
        if one.card.version == other.card.version:
            same = f"{served} and {new} hold the same version, {one.card.version}"
            raise UserError(f"{same}: there is nothing to compare")
        return versions

    @property
    def several(self) -> bool:
        """Return whether a text may have several labels."""
        return self.served.card.kind == MULTI_LABEL

    @property
    def names(self) -> tuple[str, str]:
        """Return what both are called in a table: the names of the folders, with their paths where these are equal."""
        served, new = self.folders
        short = served.resolve().name, new.resolve().name
        return short if short[0] != short[1] else (str(served), str(new))

    def read(
        self,
        files: Sequence[Path],
        columns: ColumnNames,
        outside_labels: Sequence[str],
        encoding: str,
        *,
        skip_trained: bool,
    ) -> LabelledFile:
        """Return the texts of files, read as those that the served version was trained on.

        Raises:
            UserError: a file cannot be read, none of its texts is left, or neither version knows one of its labels.
        """
        record = self.served.record()
        data, _, outside = read_as_trained(files, record, columns, outside_labels, encoding, several=self.several)
        texts = new_texts(data, [self.served, self.new], skip_trained=skip_trained)
        check_labels(texts.data, [self.served.card, self.new.card], outside)
        return LabelledFile(texts, outside)

    def compared_at(self, keep_at: float | None, name: str | None, of_new: float | None) -> ComparedAt:
        """Return at which `keep_at` both are compared.

        Args:
            keep_at: as the user gives it; None for the one in force.
            name: by which texts ask for the model, as the user gives it.
            of_new: that of the new version, as the user gives it; None for the same.

        Raises:
            UserError: the name is none, or the policy or a file of a task cannot be read.
        """
        check_asked_name(name)
        if keep_at is not None:
            return ComparedAt(keep_at, "given", "as --keep-at says", of_new=of_new)
        files, card = chosen_tasks(), self.served.card
        found = [asked for folder in self.folders for asked in served_as(folder, files)]
        task, model = found[0] if found else (card.task, card.name)
        remark_unread(chosen_policy(None))
        return replace(compared_at(task, name or model, files, card, self.new.card), of_new=of_new)


@dataclass(frozen=True, slots=True)
class ComparedVersions:
    """What two versions do with the same texts."""

    versions: Versions
    texts: LabelledFile
    comparison: Comparison
    at: ComparedAt
    once_served: Comparison | None
    """With the new version at the keep_at of its card, where that is higher and so would be written; else None."""
    at_lower: Comparison | None
    """With both at the lower of two numbers, where the user gave another one for the new version; else None."""
    seen: tuple[SeenRows | None, SeenRows | None]
    """Texts that each version was trained on."""

    def lines(self) -> list[str]:
        """Return the lines for a terminal."""
        served, new = self.versions.names
        without = "without a label" if self.versions.several else "outside every label"
        on = f"{counted(self.comparison.texts, 'text')} of {self.texts.data.name}, {self.texts.outside:,} of them"
        return [
            *(printable(line) for line in [*self._about(), *self.texts.texts.lines]),
            printable(f"Compared on {on} {without}, at {self.at}, {self.at.said}"),
            "",
            *comparison_table(self.comparison, served, new),
            "",
            comparison_sentence(new, self.comparison, str(self.at)),
            printable(
                f"serve {new} in place of {served}: {'yes' if self.judged[0] else 'no'}, because {self.judged[1]}"
            ),
            *([printable(self._how_to_serve)] if self.judged[0] else []),
        ]

    @property
    def _how_to_serve(self) -> str:
        """Return which command serves the new version in place of the other one."""
        old, young = self.versions.folders
        if old.resolve() == previous_folder(young).resolve():
            return f"{young} is the one that is served: nothing is to be done"
        if young.resolve() == previous_folder(old).resolve():
            return f"`sprat models rollback {shlex.quote(str(old))}` serves {young}; the same command undoes it"
        pair, back = shlex.join(map(str, self.versions.folders)), shlex.quote(str(old))
        return f"`sprat models replace {pair}` serves it; `sprat models rollback {back}` goes back"

    @property
    def judged(self) -> tuple[bool, str]:
        """Return whether the new version is shown to be the better one to serve, by the rule of `sprat retrain`."""
        with_it = f"with {self.versions.names[1]}"
        if self.comparison.keeps_nothing:
            return False, f"at {self.at} none of {counted(self.comparison.texts, 'text')} is kept {with_it}"
        comparison, lower = self.comparison, self.at_lower
        if comparison.better == "neither" and lower is not None and comparison.keeps not in {"alike", lower.keeps}:
            both = f"with both at {self.at.lower:.2f}"
            change = f"that {comparison.keeps} is kept is not shown: kept and right: {difference(lower.kept_right)}"
            return False, f"{both} {change}"
        yes, because = judged(self.comparison, self.once_served, self.at, self.versions.new.card, with_it)
        if not yes and self.once_served is not None and comparison.keeps == "more":
            because += "; where `sprat assess` showed another number for it, compare at that with --new-keep-at"
        return yes, because

    def _about(self) -> list[str]:
        """Return a line about each version, with the labels that it alone knows."""
        models = self.versions.served, self.versions.new
        lines = []
        for folder, model, other in zip(self.versions.folders, models, models[::-1], strict=True):
            labels = _own_labels(model, other)
            more = f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
            own = f"; it alone knows {', '.join(labels[:_SHOWN_LABELS])}{more}: {self._with(labels)}" if labels else ""
            lines.append(f"{folder}: version {model.card.version}, keep_at {model.card.keep_at:.2f} by its card{own}")
        return lines

    def _with(self, labels: Sequence[str]) -> str:
        """Return how many texts have one of some labels that the other version does not know."""
        known = frozenset(labels)
        cells = (split_labels(cell) if self.versions.several else (cell,) for cell in self.texts.data.labels)
        count = sum(not known.isdisjoint(cell) for cell in cells)
        of = "it" if len(labels) == 1 else "them"
        return f"{counted(count, 'text')} with {of}, which the other gets wrong" if count else f"no text with {of}"

    def as_json(self) -> dict[str, Any]:
        """Return the fields of `--json`; those of the comparison are as `sprat retrain` has them."""
        models = self.versions.served, self.versions.new
        served, new = (
            {
                "folder": str(folder),
                "version": model.card.version,
                "keep_at": model.card.keep_at,
                "own_labels": _own_labels(model, other),
                "trained_on_rows": [] if seen is None else seen.rows,
            }
            for folder, model, other, seen in zip(self.versions.folders, models, models[::-1], self.seen, strict=True)
        )
        return {
            "type": "compared",
            "file": str(self.texts.data.path),
            "files": [str(path) for path in dict.fromkeys(self.texts.data.paths)],
            **self.texts.texts.as_json,
            "served": served,
            "new": new,
            "tested_on": self.comparison.texts,
            "tested_outside": self.texts.outside,
            "compared_at": self.at.as_json,
            "serve_new": {"advised": self.judged[0], "because": self.judged[1]},
            **comparison_json(self.comparison),
        }


def compare_versions(versions: Versions, texts: LabelledFile, at: ComparedAt, language: str | None) -> ComparedVersions:
    """Let both versions read the texts, and compare their answers; say which texts a version was trained on.

    Args:
        versions: both of them.
        texts: with their right labels.
        at: the `keep_at` of the comparison.
        language: of the texts, as the user gives it.

    Raises:
        UserError: a version cannot be loaded, or does not know the language.
    """
    data, models = texts.data, (versions.served, versions.new)
    language = language_of(language, versions.served.card.languages, data.texts)
    answers, seen = [], []
    for folder, model in zip(versions.folders, models, strict=True):
        seen.append(seen_by(model.record(), data))
        if seen[-1] is not None:
            remark(printable(f"{folder}: {seen[-1]}"))
        asked, loaded = TaskOfModel(INTENT, model.card.labels or (), versions.several), model.load()
        try:
            answers.append(answers_to_texts(loaded, data, asked, language))
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None
    labels = tuple(sorted({label for each in answers for label in each.labels}))
    keep_ats = at.keep_at, at.keep_at if at.of_new is None else at.of_new
    served, new = (_answers(each, texts, labels, keep_at) for each, keep_at in zip(answers, keep_ats, strict=True))
    own = None if at.of_new is not None or at.origin == "given" else at.raised_by(versions.new.card)
    later = None if own is None else compare_answers(served, _answers(answers[1], texts, labels, own))
    lower = None
    if at.of_new is not None and at.of_new != at.keep_at:
        lower = compare_answers(*(_answers(each, texts, labels, at.lower) for each in answers))
    return ComparedVersions(versions, texts, compare_answers(served, new), at, later, lower, (seen[0], seen[1]))


def _answers(
    answers: SmallModelAnswers, texts: LabelledFile, labels: tuple[str, ...], keep_at: float
) -> VersionAnswers:
    """Return what the answers of a version are worth; `labels` are those of both versions."""
    confidence, gold = np.array(answers.confidences, dtype=np.float64), texts.data.labels
    if answers.several:
        said = as_flags([each or "" for each in answers.outputs], labels)
        return set_answers_of(said, as_flags(gold, labels), confidence, keep_at)
    in_scope = np.array([label != texts.outside_label for label in gold], dtype=bool)
    right = np.array([found == label for found, label in zip(answers.likeliest, gold, strict=True)], dtype=bool)
    rejected = np.array([each is None for each in answers.outputs], dtype=bool)
    unused = np.zeros(len(gold))  # logits and chances are not published
    return answers_of(ModelReadings(in_scope, right & in_scope, unused, unused, rejected, confidence), keep_at)


def _own_labels(model: SmallModel, other: SmallModel) -> tuple[str, ...]:
    """Return the labels of a model that another one does not have."""
    return tuple(sorted({*(model.card.labels or ())} - {*(other.card.labels or ())}))
