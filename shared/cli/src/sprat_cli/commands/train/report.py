"""The outcome of a training for a terminal, as JSON, and as one HTML file: the same sentences and the same tables."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.base.errors import UserError
from sprat.base.settings import default_language
from sprat.base.words import counted
from sprat_cli.decision_report import decision_html, decision_lines
from sprat_cli.terminal import paint, printable, table
from sprat_contracts.languages import DEFAULT_LANGUAGE, is_auto, is_served
from sprat_inference.doubts import Doubts
from sprat_inference.label_sets import MULTI_LABEL
from sprat_training.datasets.distinct import DistinctTexts
from sprat_training.fitting.figures import Confusion, Figures
from sprat_training.fitting.label_issues import LabelIssue
from sprat_training.thresholds.levels import nothing_reaches
from sprat_training.train import Trained
from sprat_training.versions.model_card import previous_folder, report_file

MOST_LINES: Final = 30
"""Lines that a training prints; the rest stands in the report and in `--json`."""
_MOST_DOUBTED: Final = 5
_MOST_FINDINGS: Final = 5
_MOST_EXEMPT: Final = 5
_MOST_ROWS: Final = 300
"""Of each list of the report."""
_MOST_CONFUSIONS: Final = 30
_EXCERPT: Final = 80

Row = tuple[str, ...]


def training_lines(result: Trained, *, show_texts: bool) -> list[str]:
    """Return at most `MOST_LINES` lines, the most important first; texts are among them only where they are asked for.

    Args:
        result: of the training.
        show_texts: whether the beginnings of texts of the file are shown.
    """
    folder, report = result.config.output, report_file(result.config.output)
    left = len(result.findings) - _MOST_FINDINGS
    more = f", with {counted(left, 'further finding')}" if left > 0 else ""
    return [
        *decision_lines(result.decision),
        *map(printable, measured(result)),
        *_doubted_lines(result, show_texts=show_texts),
        *(f"Do first: {printable(step)}." for step in result.steps[:1]),
        *(f"{paint('!', 'yellow')} {printable(each)}" for each in result.findings[:_MOST_FINDINGS]),
        f"{folder}: {result.card.task}/{result.card.name}, version {result.card.version}; {report}: the report{more}",
        *next_steps(result),
    ]


def measured(result: Trained) -> Iterator[str]:
    """Yield how many labels are right, of the held-out texts and of the test."""
    found = [("held out", result.held_out, result.decision.new)]
    if result.test is not None and result.test_at_goal is not None:
        found.insert(0, ("test file", result.test, result.test_at_goal))
    for name, figures, at_goal in found:
        kept, right = at_goal.all, at_goal.all.right_of_kept
        at = f"; at the goal {kept.kept_share:.1%} are kept, {'–' if right is None else f'{right:.1%}'} of it right"
        yield f"{name}: {figures.accuracy} of {counted(figures.texts, 'text')} are right if all are kept{at}"
    if (hidden := result.held_out.hidden_kept(result.decision.new.kept)) is not None:
        yield (
            f"labels hidden in turn: at the goal {hidden.share:.1%} of their texts are kept with another label, "
            f"{hidden.least:.1%} to {hidden.most:.1%} by part of the labels; of texts near to the labels it may be more"
        )
    yield from _doubts(result)
    if result.test is not None and not result.test.accuracy.overlaps(result.held_out.accuracy):
        yield "the test file and the held-out texts differ by more than chance: count on the lower figure"


def _doubts(result: Trained) -> Iterator[str]:
    """Yield which labels are not doubted, and of how many training texts the wording is; nothing without doubts."""
    doubts, data = Doubts.of(result.card), result.data
    if doubts is None or not isinstance(data, DistinctTexts):
        return
    own = sorted(doubts.ordering | doubts.denying | doubts.short)
    shown = ", ".join(own[:_MOST_EXEMPT]) + (f" and {len(own) - _MOST_EXEMPT} more" if len(own) > _MOST_EXEMPT else "")
    are = "label is itself" if len(own) == 1 else "labels are themselves"
    exempt = f"{len(own)} {are} worded as denied or too little: {shown}" if own else "no label is itself worded so"
    said = [data.labels[place] for place in data.gold]
    count = sum(doubts.of_wording(*each) is not None for each in zip(data.texts, said, strict=True))
    several = "" if doubts.several else "; `several` is never said, as many texts have such parts"
    of = counted(len(data.texts), "training text")
    yield f"doubts: {exempt}; {count:,} of {of} would be doubted by their wording{several}"


def next_steps(result: Trained) -> list[str]:
    """Return the commands that serve the model and ask it."""
    card, folder = result.card, shlex.quote(str(result.config.output))
    back = [f"the version before is {previous_folder(result.config.output)}; back to it: sprat promote {folder} --back"]
    back = back if result.decision.served is not None else []
    if not result.keeps:
        return [nothing_reaches(result.decision.new.thresholds, result.decision.goal.accuracy), *back]
    if card.kind == MULTI_LABEL:
        task = "".join(each if each.isascii() and each.isalnum() else "-" for each in card.name.lower())
        name = task.lstrip("-0123456789")[:32] or "mine"
        return [f"serve it as a task of your own: sprat task init {name} --kind multi_label --artefact {folder}", *back]
    default, languages = _default_language(), result.config.languages
    language = "" if is_auto(default) or is_served(default, languages) else f" --language {languages[0]}"
    return [
        f"serve it: sprat up --model intent/{card.name}={folder}",
        f'ask it: sprat send "…" --task intent@{card.name}{language}',
        *back,
    ]


def training_json(result: Trained) -> dict[str, Any]:
    """Return the fields of `--json`: numbers of rows, never texts."""
    card = result.card
    return {
        "type": "trained",
        "kind": card.kind or "label",
        "name": card.name,
        "version": card.version,
        "folder": str(result.config.output),
        "report": str(report_file(result.config.output)),
        "texts": len(result.data.texts),
        "decision": result.decision.as_json,
        "held_out": _figures_json(result.held_out),
        "test": None if result.test is None else _figures_json(result.test),
        "lexical": None if result.stage is None else asdict(result.stage),
        "scores": {score.name: score.value for score in card.scores},
        "findings": list(result.findings),
        "do_next": list(result.steps),
        "kept_wrong": [
            {"file": file, "row": int(row), "given": label, "kept_as": said}
            for file, row, label, said, *_ in _kept_wrong(result)
        ],
        "leaked_test_rows": list(result.sources.leaked_rows),
        "bad_rows": [
            {"file": str(each.path), "row": each.row, "column": each.column, "problem": each.problem}
            for each in result.sources.bad_rows
        ],
        "likely_wrong": [_issue_json(each) for each in result.label_issues],
        "dropped": [_issue_json(each) for each in result.dropped],
    }


def write_report(result: Trained, *, show_texts: bool) -> Path:
    """Write the report beside the artefact, and return its path.

    Raises:
        UserError: it cannot be written.
    """
    path = report_file(result.config.output)
    try:
        path.write_text(training_html(result, show_texts=show_texts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def training_html(result: Trained, *, show_texts: bool) -> str:
    """Return the report, an HTML file."""
    card, figures = result.card, result.test or result.held_out
    texts = ("text",) if show_texts else ()
    doubted = ("file", "row", "label", "likely label", "margin", *texts)
    sections: list[tuple[str, str, Sequence[Row]]] = [
        (
            "Labels that are doubted, the likeliest first",
            (
                "A head that was not fitted on the row gives another label at least the probability that this label "
                "has on average in the rows that carry it. Margin: how much more probable the likely label is."
            ),
            [doubted, *(_issue_row(result, each, show_texts=show_texts) for each in result.label_issues)],
        ),
        (
            "Rows that were left out because their labels are doubted",
            "",
            [doubted, *(_issue_row(result, each, show_texts=show_texts) for each in result.dropped)],
        ),
        (
            "Texts with a label that are kept and wrong, the surest first",
            "",
            [
                ("file", "row", "label", "the model says", "confidence", *texts),
                *(row if show_texts else row[:-1] for row in _kept_wrong(result)),
            ],
        ),
        (
            "Confusions",
            "Whatever the confidence.",
            [
                ("label", "read as", "texts", "of"),
                *(_confusion_row(each) for each in figures.confusions[:_MOST_CONFUSIONS]),
            ],
        ),
        (
            "Each label",
            (
                f"Macro F1 {figures.macro_f1:.1%}. Calibration error {figures.calibration_error:.3f}: how far the "
                "stated confidence and the share right lie apart, on average."
            ),
            [
                ("label", "texts", "recall", "precision"),
                *((each.label, f"{each.texts:,}", *_shares(each.recall, each.precision)) for each in figures.labels),
            ],
        ),
    ]
    return decision_html(
        result.decision,
        "training.html.j2",
        about=(
            f"{card.task}/{card.name}, version {card.version}: {len(result.data.texts):,} texts, "
            f"{len(card.labels or ())} labels; made of {', '.join(work.name for work in card.made_of)}; licence "
            f"{card.licence}. Calibrated on {card.calibration.fitted_on}."
        ),
        lists=[
            ("Measured", list(measured(result))),
            ("Do next", result.steps),
            ("Commands", next_steps(result)),
            ("Findings in the data", result.findings or ("No problems found.",)),
            ("Limits", card.limits),
        ],
        sections=[(title, about, rows[: _MOST_ROWS + 1]) for title, about, rows in sections if len(rows) > 1],
    )


def _doubted_lines(result: Trained, *, show_texts: bool) -> list[str]:
    """Return the first rows whose labels are doubted, below a heading."""
    issues = result.label_issues or result.dropped
    if not issues:
        return []
    shown = issues[:_MOST_DOUBTED]
    rows = [
        (
            each.path.name,
            f"row {each.row}",
            f"{each.label} → {each.likely_label}",
            *([_excerpt(result.sources.data.texts[each.index])] if show_texts else []),
        )
        for each in shown
    ]
    what = "check these labels, which may be right" if result.label_issues else "left out, as the labels are doubted"
    of = "" if len(shown) == len(issues) else f" ({len(shown)} of {len(issues):,}; more in the report)"
    return [paint(f"{what}{of}:", "yellow"), *(f"  {printable(line)}" for line in table(rows))]


def _kept_wrong(result: Trained) -> list[Row]:
    """Return file, row, label, what the model says, confidence and text of each text that is kept and wrong."""
    figures, at_goal = result.test or result.held_out, result.test_at_goal or result.decision.new
    data = result.sources.test if result.test is not None else result.data
    if figures.best is None or at_goal.kept is None or data is None:
        return []
    labels, rows = result.card.labels or (), figures.rows
    gold = data.labels if result.test is not None else [labels[number] for number in getattr(data, "gold", ())]
    wrong = np.flatnonzero((at_goal.kept.kept & ~rows.right)[: figures.texts])
    return [
        (
            data.paths[place].name,
            str(data.rows[place]),
            gold[place],
            "(outside every label)" if rows.says_none[place] else labels[figures.best[place]],
            f"{rows.confidence[place]:.1%}",
            _excerpt(data.texts[place]),
        )
        for place in wrong[np.argsort(-rows.confidence[wrong], kind="stable")]
    ]


def _issue_row(result: Trained, issue: LabelIssue, *, show_texts: bool) -> Row:
    text = (_excerpt(result.sources.data.texts[issue.index]),) if show_texts else ()
    return issue.path.name, str(issue.row), issue.label, issue.likely_label, f"{issue.margin:.2f}", *text


def _confusion_row(each: Confusion) -> Row:
    return each.label, each.predicted, f"{each.texts:,}", f"{each.total:,}"


def _issue_json(issue: LabelIssue) -> dict[str, Any]:
    return {
        "file": str(issue.path),
        "row": issue.row,
        "given": issue.label,
        "believed": issue.likely_label,
        "doubt": issue.margin,
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    accuracy = figures.accuracy
    return {
        "texts": figures.texts,
        "accuracy": [round(each, 4) for each in (accuracy.value, accuracy.low, accuracy.high)],
        "macro_f1": round(figures.macro_f1, 4),
        "calibration_error": round(figures.calibration_error, 4),
        "labels": [asdict(each) for each in figures.labels],
        "confusions": [asdict(each) for each in figures.confusions],
    }


def _shares(*shares: float) -> Iterator[str]:
    return (f"{share:.1%}" for share in shares)


def _excerpt(text: str) -> str:
    """Return the beginning of a text on one line."""
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def _default_language() -> str:
    """Return the language of texts that name none, as far as it is known where a model is trained."""
    try:
        return default_language()
    except UserError:  # a wrong setting is the services' to report, not a training's that is done
        return DEFAULT_LANGUAGE
