"""The report of a training as one HTML file.

Texts of the file are shown only where the user asks for it with `--show-texts`.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from sprat_training.data import RepeatedText, TrainingData
from sprat_training.figures import Confusion, LabelFigures, TrainingFigures
from sprat_training.findings import (
    before_serving,
    differs_on_test,
    excerpt,
    findings,
    lexical_sentence,
    misread_texts,
    outcome_table,
    outside_said,
    rows_and_labels,
    serve_command,
    shortened,
)
from sprat_training.html_report import HtmlPage, Matrix, Plot, Scale
from sprat_training.label_issues import LabelIssue
from sprat_training.model_card import TESTED
from sprat_training.train import TrainingResult

_REPORT_CONFUSIONS: Final = 30
_REPORT_ISSUES: Final = 300
_REPORT_MISREAD: Final = 300
_REPORT_REPEATS: Final = 50
_ROWS_BEHIND: Final = 10
_TEXTS_BEHIND: Final = 3
_MATRIX_LABELS: Final = 30
_TABLE_KEEP_AT: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_MIN_TEXTS_DRAWN: Final = 12
"""Fewer texts in a bin or above a threshold mean nothing: they are drawn faint or not at all."""

_CALIBRATION_ERROR: Final = (
    "Calibration error: how far the stated confidence and the share right lie apart, on average. 0 is best; 0.05 means "
    "five points of a hundred, as 75 % right where 80 % is stated. With some hundred texts or fewer, chance alone adds "
    "some points."
)
_MARGIN: Final = (
    "Margin: how much more probable the likely label is than the one in the file, from 0 to 1: near 1 the row is well "
    "worth a look, near 0 it may well be right."
)


def training_html(result: TrainingResult, *, show_texts: bool) -> str:
    """Return the report, an HTML file."""
    card, config = result.card, result.config
    page = HtmlPage(f"intent/{card.name}, trained on {config.source}")
    tests = [work.name for work in card.made_of if work.used_for == TESTED]
    measured = f"; measured on {', '.join(tests)}" if tests else ""
    page.add_paragraph(
        f"Version {card.version}; {len(result.data.texts):,} texts, {len(result.data.labels)} labels; "
        f"made of {', '.join(work.name for work in card.made_of if work.used_for != TESTED)}{measured}; "
        f"licence {card.licence}."
    )
    verdict = result.verdict
    why = f" Why: {verdict.reason}." if verdict.reason else ""
    page.add_verdict(verdict.grade, verdict.sentence + why, verdict.steps)
    _add_accuracy(page, result)
    figures = result.test or result.figures
    _add_outcomes(page, result, figures, show_texts=show_texts)
    _add_data(page, result, show_texts=show_texts)
    _add_confusions(page, result, figures, show_texts=show_texts)
    page.add_heading("Calibration")
    page.add_picture(
        reliability_plot(figures).svg(),
        "Each dot is the answers of one bin of confidence; its size is the number of answers, and a grey one has fewer "
        f"than {_MIN_TEXTS_DRAWN}, which say little. On the line, as many are right as the confidence says. Below: the "
        "distribution of the traffic.",
    )
    page.add_heading("Accuracy against escalation")
    page.add_picture(
        escalation_plot(figures, card.keep_at).svg(),
        "The more of the traffic is escalated, the more of what is kept is right. The band is the 95 % interval.",
    )
    page.add_table(
        ("keep_at", "escalated", "right of those kept"),
        [
            (f"{kept.keep_at:.2f}", f"{1 - kept.share:.1%}", kept.shown_right)
            for kept in map(figures.at, sorted({*_TABLE_KEEP_AT, card.keep_at}))
        ],
        numbers=(0, 1),
    )
    page.add_heading("Each label")
    page.add_table(
        ("label", "texts", "recall", "precision"),
        [_label_cells(each) for each in figures.labels],
        numbers=(1, 2, 3),
    )
    page.add_heading("Limits")
    page.add_list(card.limits)
    return page.html()


def _label_cells(figures: LabelFigures) -> tuple[str, ...]:
    if not figures.texts:
        return figures.label, "0", "–", "–"
    return figures.label, f"{figures.texts:,}", f"{figures.recall:.1%}", f"{figures.precision:.1%}"


def reliability_plot(figures: TrainingFigures) -> Plot:
    """Draw accuracy against confidence."""
    plot = Plot(Scale("confidence"), Scale("right"), "Reliability: share right against confidence")
    width = 1 / 15
    fullest = max(each.weight for each in figures.bins)
    for each in figures.bins:
        left = min(int(each.stated / width), 14) * width
        plot.add_bar(left, left + width, 0.25 * each.weight / fullest, "faint")
    plot.add_line([(0, 0), (1, 1)], "faint", "as stated")
    for each in figures.bins:
        kind = "accent" if each.texts >= _MIN_TEXTS_DRAWN else "faint"
        plot.add_dot((each.stated, each.right), kind, radius=3 + 9 * (each.weight / fullest) ** 0.5)
    return plot


def escalation_plot(figures: TrainingFigures, keep_at: float) -> Plot:
    """Draw the accuracy of the kept answers against the share escalated."""
    curve = [kept for kept in figures.curve if kept.share * figures.texts >= _MIN_TEXTS_DRAWN]
    low = min((int(kept.right.low * 20) / 20 for kept in curve), default=0.0)
    plot = Plot(Scale("escalated"), Scale("right of those kept", min(low, 0.95)), "Accuracy against escalation")
    plot.add_band(
        [(1 - kept.share, kept.right.low) for kept in curve],
        [(1 - kept.share, kept.right.high) for kept in curve],
        "accent",
    )
    plot.add_line([(1 - kept.share, kept.right.value) for kept in curve], "accent")
    recommended = figures.at(keep_at)
    if recommended.share:
        plot.add_marker(1 - recommended.share, f"keep_at {keep_at:.2f}")
        plot.add_dot((1 - recommended.share, recommended.right.value), "warm")
    return plot


def confusion_matrix(figures: TrainingFigures) -> Matrix:
    """Return the confusions of the labels as a picture; of many labels, those that are confused most."""
    involved: Counter[str] = Counter()
    for each in figures.confusions:
        involved[each.label] += each.texts
        involved[each.predicted] += each.texts
    texts = {each.label: each.texts for each in figures.labels}
    names = list(texts)
    if len(names) > _MATRIX_LABELS:
        chosen = {label for label, _ in involved.most_common(_MATRIX_LABELS)}
        names = [label for label in names if label in chosen]
    counts = {(each.label, each.predicted): each.texts for each in figures.confusions}
    counts |= {(each.label, each.label): round(each.recall * each.texts) for each in figures.labels}
    return Matrix(
        names,
        [[counts.get((row, column), 0) for column in names] for row in names],
        [texts[name] for name in names],
        "Confusion matrix",
    )


def _add_confusions(page: HtmlPage, result: TrainingResult, figures: TrainingFigures, *, show_texts: bool) -> None:
    page.add_heading("Confusions")
    matrix = confusion_matrix(figures)
    part = (
        "" if len(matrix.names) == len(figures.labels) else f" The {len(matrix.names)} labels confused most are shown."
    )
    source = "test file" if result.test else "held-out texts"
    page.add_picture(
        matrix.svg(),
        f"Rows are the labels of the {source}, columns what the model says. On the diagonal the model is right; the "
        f"stronger the colour of a cell, the larger its share of the row.{part}",
    )
    confusions = figures.confusions[:_REPORT_CONFUSIONS]
    if not confusions:
        return
    with_rows = result.test is None
    with_texts = show_texts and with_rows
    behind = {each: _texts_behind(result, each) for each in confusions} if with_rows else {}
    page.add_table(
        (
            "label",
            "predicted",
            "texts",
            "of",
            *(("rows",) if with_rows else ()),
            *(("for example",) if with_texts else ()),
        ),
        [
            (
                each.label,
                each.predicted,
                f"{each.texts:,}",
                f"{each.total:,}",
                *((_rows_of(result.data, behind[each]),) if with_rows else ()),
                *((_shortened(result.data, behind[each]),) if with_texts else ()),
            )
            for each in confusions
        ],
        numbers=(2, 3),
    )


def _add_outcomes(page: HtmlPage, result: TrainingResult, figures: TrainingFigures, *, show_texts: bool) -> None:
    source = "the test file" if result.test else "the held-out texts"
    page.add_heading("What becomes of each text")
    head, *rows = outcome_table(figures, result.card.keep_at)
    page.add_paragraph(
        f"Of {source}, at keep_at {result.card.keep_at:.2f}. Each column adds up. A label that is likeliest is not "
        "published where the text is called outside every label, or escalated because the model is unsure."
    )
    page.add_table(head, rows, numbers=tuple(range(1, len(head))))
    misread = misread_texts(result)
    if misread:
        page.add_paragraph("Texts with a label that are kept and wrong, the surest first:")
        page.add_table(
            (
                "file",
                "row",
                "label",
                "the model says",
                "confidence",
                *(("text",) if show_texts else ()),
            ),
            [
                (
                    each.path.name,
                    f"{each.row}",
                    each.label,
                    each.said,
                    f"{each.confidence:.1%}",
                    *((each.text,) if show_texts else ()),
                )
                for each in misread[:_REPORT_MISREAD]
            ],
            numbers=(1, 4),
        )


def _texts_behind(result: TrainingResult, confusion: Confusion) -> Sequence[int]:
    """Return the places of the texts of one label that were read as another."""
    data = result.data
    numbers = {name: number for number, name in enumerate(data.labels)}
    found = (data.gold == numbers[confusion.label]) & (result.predicted == numbers[confusion.predicted])
    return [int(index) for index in np.flatnonzero(found)]


def _shortened(data: TrainingData, found: Sequence[int]) -> str:
    return " · ".join(shortened(data.texts[index]) for index in found[:_TEXTS_BEHIND])


def _rows_of(data: TrainingData, found: Sequence[int]) -> str:
    """Return the first rows of some texts, with their file where there are several."""
    several = len(set(data.paths)) > 1
    rows = [f"{data.paths[index].name} {data.rows[index]}" if several else str(data.rows[index]) for index in found]
    return ", ".join(rows[:_ROWS_BEHIND]) + (" …" if len(rows) > _ROWS_BEHIND else "")


def _add_accuracy(page: HtmlPage, result: TrainingResult) -> None:
    card = result.card
    page.add_heading("Accuracy")
    head = ["", "texts", "right label (95 % interval)", "macro F1", "kept", "right of those kept", "calibration error"]
    rows = []
    for name, figures in (("held-out folds", result.figures), ("test file", result.test)):
        if figures is None:
            continue
        kept = figures.at(card.keep_at)
        rows.append(
            (
                name,
                f"{figures.texts:,}",
                str(figures.accuracy),
                f"{figures.macro_f1:.1%}",
                f"{kept.share:.1%}",
                kept.shown_right,
                f"{figures.calibration_error:.3f}",
            )
        )
    page.add_table(head, rows, numbers=(1,))
    said = differs_on_test(result.figures.accuracy, None if result.test is None else result.test.accuracy)
    if said is not None:
        page.add_paragraph(f"{said[0].upper()}{said[1:]}.")
    page.add_paragraph(_CALIBRATION_ERROR)
    outside = ""
    for where, figures in (("", result.figures), (" of the test file", result.test)):
        if figures is not None and figures.outside_recall is not None:
            said = outside_said(figures, result, where)
            outside += f" {said[0].upper()}{said[1:]}."
    said = "Recommended" if result.verdict.keep_at_holds else "Not recommended, as fewer are right of the test file"
    page.add_paragraph(f"{said}: keep_at {card.keep_at:.2f}, {card.keep_at_rule}.{outside}")
    page.add_paragraph(f"Calibrated on {card.calibration.fitted_on}.")
    if result.config.lexical:
        sentence = lexical_sentence(result)
        page.add_paragraph(f"{sentence[0].upper()}{sentence[1:]}.")
    if result.verdict.grade == "poor":
        page.add_paragraph(f"Nothing is kept, so do not serve it yet: {before_serving(result)}.")
    else:
        page.add_command(serve_command(result))
        page.add_paragraph("Or as a task of its own, with its own topic of results, and a file with its keep_at:")
        page.add_command(f"sprat task init NAME --artefact {shlex.quote(str(result.config.output))}")


def _add_data(page: HtmlPage, result: TrainingResult, *, show_texts: bool) -> None:
    page.add_heading("Findings in the data")
    page.add_list(findings(result) or ["No problems found."])
    summary = result.sources.summary
    for found, caption in (
        (summary.conflicts, "Texts with several labels:"),
        (summary.corrected, "Texts to which a later file gives another label:"),
        (summary.repeats if show_texts else (), "Texts that repeat with the same label:"),
    ):
        if found:
            page.add_paragraph(caption)
            page.add_list([_repeated(text, show_texts=show_texts) for text in found[:_REPORT_REPEATS]])
    if result.label_issues:
        page.add_paragraph(
            "Labels that are doubted, the likeliest first: a head that was not fitted on the row gives another label "
            f"at least the probability that this label has on average in the rows that carry it. {_MARGIN}"
        )
        _add_issues(page, result, result.label_issues, show_texts=show_texts)
    if result.dropped:
        page.add_paragraph(f"Rows that were left out because their labels are doubted. {_MARGIN}")
        _add_issues(page, result, result.dropped, show_texts=show_texts)


def _add_issues(page: HtmlPage, result: TrainingResult, issues: Sequence[LabelIssue], *, show_texts: bool) -> None:
    page.add_table(
        ("file", "row", "label", "likely label", "margin", *(("text",) if show_texts else ())),
        [
            (
                each.path.name,
                f"{each.row}",
                each.label,
                each.likely_label,
                f"{each.margin:.2f}",
                *((excerpt(result, each.index),) if show_texts else ()),
            )
            for each in issues[:_REPORT_ISSUES]
        ],
        numbers=(1, 4),
    )


def _repeated(text: RepeatedText, *, show_texts: bool) -> str:
    return rows_and_labels(text) + (f" · {shortened(text.text)}" if show_texts else "")
