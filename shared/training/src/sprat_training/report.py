"""What a user reads of a training: findings in sentences, and the report as one HTML file.

Texts of the file are shown only where the user asks for it with `--show-texts`.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sprat_langid import DEFAULT as DEFAULT_LANGUAGE
from sprat_training.data import MIN_TEXTS, DataSummary, RepeatedText, quoted_group
from sprat_training.evaluation.metrics import wilson
from sprat_training.figures import OUTCOMES, LabelFigures, TrainingFigures
from sprat_training.html_report import HtmlPage, Matrix, Plot, Scale
from sprat_training.label_issues import LabelIssue
from sprat_training.lexical_gate import LEAST_SHARE
from sprat_training.model_card import TESTED
from sprat_training.sources import Sources
from sprat_training.train import TrainingResult

OUTSIDE_EVERY_LABEL: Final = "(outside every label)"
_MAX_ROWS: Final = 6
_MAX_CONFLICTS: Final = 3
_MAX_GROUPS: Final = 5
_MAX_EXCERPT: Final = 80
_REPORT_CONFUSIONS: Final = 30
_REPORT_ISSUES: Final = 300
_REPORT_MISREAD: Final = 300
_REPORT_CONFLICTS: Final = 50
_REPORT_REPEATS: Final = 50
_TEXTS_BEHIND: Final = 3
_MATRIX_LABELS: Final = 30
_MANY_DOUBLES: Final = 0.1
"""Share of doubles from which on it is said: people repeat themselves, too, in CLINC150 and BANKING77 up to 7 %."""
_MIN_TEXTS_DRAWN: Final = 12
"""Fewer texts in a bin or above a threshold mean nothing: they are drawn faint or not at all."""


def findings(result: TrainingResult) -> list[str]:
    """Return what was found in the data, one sentence each; empty where nothing was."""
    summary = result.sources.summary
    return [
        *result.sources.notes,
        *_files(result.sources),
        *_repeats(summary),
        *_similar(summary),
        *_small(summary),
        *_unused(result),
        *_doubles(result),
        *_label_issues(result),
    ]


def lexical_sentence(result: TrainingResult) -> str:
    """Return what the lexical stage answers and how well, or why there is none."""
    gate = result.stage
    if gate is None:
        return (
            f"the encoder reads every text: no lexical stage was found that answers at least {LEAST_SHARE:.0%} of them "
            "and is surely no worse"
        )
    return (
        f"the lexical stage answers {gate.share:.1%} of the texts with a label without the encoder, "
        f"{gate.error:.1%} of them wrongly (the encoder: {gate.encoder_error:.1%}), and {gate.outside_share:.1%} of "
        "those outside"
    )


def outside_texts_said(figures: TrainingFigures, result: TrainingResult, where: str = "") -> str:
    """Return how many texts outside every label were read, and whether texts of labels held out stood in for them."""
    texts = f"{_count(figures.outside_texts, 'text', 'texts')}{where}"
    if figures is result.figures and result.labels_held_out:
        return f"{texts} of labels held out in turn, which stand in for texts outside every label,"
    if figures is result.figures:
        return f"{texts} outside every label, each read by the head of every fold,"
    return f"{texts} outside every label"


def send_command(result: TrainingResult) -> str:
    """Return the command that sends the model a text; its language is needed where that is not the default one."""
    languages = result.config.languages
    language = "" if DEFAULT_LANGUAGE in languages else f" --language {languages[0]}"
    return f'sprat send "…" --task intent@{result.card.name}{language}'


def serve_command(result: TrainingResult) -> str:
    """Return the command that serves the model beside the shipped one, run where the training was started."""
    return shlex.join(["sprat", "up", "--model", f"intent/{result.card.name}={result.config.output}"])


@dataclass(frozen=True, slots=True)
class MisreadText:
    """A text with a label that is kept with another one, or as outside every label."""

    path: Path
    row: int
    label: str
    said: str
    confidence: float
    text: str = field(repr=False)
    """Its beginning on one line."""


def outcome_table(figures: TrainingFigures, keep_at: float) -> list[tuple[str, ...]]:
    """Return what becomes of the texts as rows that add up, the first one with the columns' names."""
    found = figures.outcomes(keep_at)
    has_outside = figures.outside_texts > 0
    traffic = f"traffic, {figures.outside_share:.0%} outside"
    rows = [
        ("", "texts", "share", "likeliest label right", *(("texts outside", traffic) if has_outside else ())),
        *(
            (
                name,
                f"{found.texts[at]:,}",
                f"{found.texts[at] / max(figures.texts, 1):.1%}",
                f"{found.best_right[at]:,}",
                *((f"{found.outside[at]:.1%}" if at else "–", f"{found.traffic[at]:.1%}") if has_outside else ()),
            )
            for at, name in enumerate(OUTCOMES)
        ),
    ]
    total = ("all", f"{figures.texts:,}", "100.0%", f"{sum(found.best_right):,}")
    return [*rows, (*total, *(("100.0%", "100.0%") if has_outside else ()))]


def misread_texts(result: TrainingResult) -> list[MisreadText]:
    """Return the texts that are kept and wrong, those of the test where there is one; the surest first."""
    figures = result.test or result.figures
    data, test = result.data, result.sources.test
    if result.test is not None and test is not None:
        texts, rows, paths, own = test.texts, test.rows, test.paths, test.labels
    else:
        texts, rows, paths = data.texts, data.rows, data.paths
        own = tuple(data.labels[number] for number in data.gold)
    outcome = figures.outcome_of_each(result.card.keep_at)[: figures.texts]
    confidence = figures.readings.confidence[: figures.texts]
    found = np.flatnonzero((outcome == 1) | (outcome == 2))
    return [
        MisreadText(
            paths[index],
            rows[index],
            own[index],
            data.labels[figures.best[index]] if outcome[index] == 1 else OUTSIDE_EVERY_LABEL,
            float(confidence[index]),
            _shortened(texts[index]),
        )
        for index in found[np.argsort(-confidence[found], kind="stable")]
    ]


def excerpt(result: TrainingResult, index: int) -> str:
    """Return the beginning of a text of the sources on one line."""
    return _shortened(result.sources.data.texts[index])


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_EXCERPT else text[: _MAX_EXCERPT - 1] + "…"


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
        "Each dot is the answers of one bin of confidence; its size is the number of answers. On the line, as many are "
        "right as the confidence says. Below: the distribution of the traffic.",
    )
    page.add_heading("Accuracy against escalation")
    page.add_picture(
        escalation_plot(figures, card.keep_at).svg(),
        "The more of the traffic is escalated, the more of what is kept is right. The band is the 95 % interval.",
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
        f"darker a cell, the larger its share of the row.{part}",
    )
    confusions = figures.confusions[:_REPORT_CONFUSIONS]
    if not confusions:
        return
    with_texts = show_texts and result.test is None
    page.add_table(
        ("label", "predicted", "texts", "of", *(("for example",) if with_texts else ())),
        [
            (
                each.label,
                each.predicted,
                f"{each.texts:,}",
                f"{each.total:,}",
                *((_texts_behind(result, each.label, each.predicted),) if with_texts else ()),
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


def _texts_behind(result: TrainingResult, label: str, predicted: str) -> str:
    """Return some texts of one label that were read as another."""
    data = result.data
    numbers = {name: number for number, name in enumerate(data.labels)}
    found = np.flatnonzero((data.gold == numbers[label]) & (result.predicted == numbers[predicted]))
    return " · ".join(_shortened(data.texts[index]) for index in found[:_TEXTS_BEHIND])


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
    outside = ""
    for where, figures in (("", result.figures), (" of the test file", result.test)):
        if figures is not None and figures.outside_recall is not None:
            texts = outside_texts_said(figures, result, where).removesuffix(",")
            outside += f" Of {texts}, {figures.outside_recall:.1%} are recognised, however unsure."
    said = "Recommended" if result.verdict.keep_at_holds else "Not recommended, as the test file is worse"
    page.add_paragraph(f"{said}: keep_at {card.keep_at:.2f}, {card.keep_at_rule}.{outside}")
    page.add_paragraph(f"Calibrated on {card.calibration.fitted_on}.")
    if result.config.lexical:
        sentence = lexical_sentence(result)
        page.add_paragraph(f"{sentence[0].upper()}{sentence[1:]}.")
    page.add_command(serve_command(result))


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
            "Labels that are likely wrong, the likeliest first: a head that was not fitted on the row gives another "
            "label at least the probability that this label has on average in the rows that carry it."
        )
        _add_issues(page, result, result.label_issues, show_texts=show_texts)
    if result.dropped:
        page.add_paragraph("Rows that were left out because their labels are likely wrong:")
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
    return _conflict(text) + (f" · {_shortened(text.text)}" if show_texts else "")


def _files(sources: Sources) -> Iterator[str]:
    for file in sources.summary.files:
        name = file.path.name
        if file.encoding is not None:
            yield f"{name} is read as {file.encoding}; if its letters look wrong, name another --encoding"
        if file.unused_columns:
            yield f"{name}: columns that are not read: {', '.join(file.unused_columns)}"
        if file.blank_rows:
            blank = _count(file.blank_rows, "row has", "rows have")
            skipped = "is skipped" if file.blank_rows == 1 else "are skipped"
            yield f"{name}: {blank} neither text nor label and {skipped}"
    if sources.bad_rows:
        rows = len({(problem.path, problem.row) for problem in sources.bad_rows})
        yield _count(rows, "row is left out, because it", "rows are left out, because they") + " cannot be used"


def _repeats(summary: DataSummary) -> Iterator[str]:
    if summary.corrected:
        texts = _count(len(summary.corrected), "text has another label", "texts have another label")
        yield f"{texts} in a later file, which is used"
    if summary.repeats:
        rows = sum(len(text.rows) - 1 for text in summary.repeats)
        yield f"{_count(rows, 'row repeats', 'rows repeat')} a text with the same label; each text counts once"
    if summary.conflicts:
        shown = "; ".join(_conflict(text) for text in summary.conflicts[:_MAX_CONFLICTS])
        yield (
            f"{_count(len(summary.conflicts), 'text has', 'texts have')} several labels; the most frequent one is "
            f"used, on a tie the text is left out: {shown}{' …' if len(summary.conflicts) > _MAX_CONFLICTS else ''}"
        )


def _similar(summary: DataSummary) -> Iterator[str]:
    groups = summary.similar_labels
    if groups:
        shown = ", ".join(quoted_group(group) for group in groups[:_MAX_GROUPS])
        more = f" and {len(groups) - _MAX_GROUPS} more" if len(groups) > _MAX_GROUPS else ""
        yield (
            f"{_count(len(groups), 'group of labels differs', 'groups of labels differ')} by case or white space "
            f"alone, and each is learnt as a label of its own: {shown}{more}; --merge-case takes each group as one "
            "label"
        )


def _small(summary: DataSummary) -> Iterator[str]:
    if summary.dropped_labels:
        subject = _count(len(summary.dropped_labels), "label is", "labels are")
        yield f"{subject} left out for having too few texts: {', '.join(summary.dropped_labels)}"
    if small := summary.small_labels:
        shown = ", ".join(f"{label} {count}" for label, count in _fewest(small))
        more = f" and {len(small) - _MAX_ROWS} more" if len(small) > _MAX_ROWS else ""
        yield f"{_count(len(small), 'label has', 'labels have')} few texts, so little is known of them: {shown}{more}"


def _fewest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: each[1])[:_MAX_ROWS]


def _unused(result: TrainingResult) -> Iterator[str]:
    if result.sources.summary.sampled_from:
        texts = len(result.sources.data.texts)
        yield f"{texts:,} of {result.sources.summary.sampled_from:,} texts are fitted, drawn evenly over the labels"
    if leaked := result.sources.leaked_rows:
        subject = _count(len(leaked), "row of the test is", "rows of the test are")
        of = "" if result.config.test_file is None else f" of {result.config.test_file.name}"
        yield f"{subject} trained on, too, and left out of its figures: {_rows(leaked)}{of}"
    if result.truncated:
        subject = _count(result.truncated, "text is", "texts are")
        yield f"{subject} longer than the {result.card.max_tokens} tokens that are read"


def _doubles(result: TrainingResult) -> Iterator[str]:
    found, texts = result.doubles, len(result.data.texts)
    if (repeated := texts - found.different) >= _MANY_DOUBLES * texts:
        yield (
            f"{repeated:,} of {texts:,} texts repeat another one of their label but for opening or ending, as rows "
            "from a template do: they are held out together, so the figures rest on "
            f"{found.different:,} different sentences"
        )
        if found.few:
            shown = ", ".join(f"{label} {count}" for label, count in _fewest(found.few))
            more = f" and {len(found.few) - _MAX_ROWS} more" if len(found.few) > _MAX_ROWS else ""
            yield (
                f"{_count(len(found.few), 'label has', 'labels have')} fewer than {MIN_TEXTS} different sentences, so "
                f"the figures are too good for what people write: {shown}{more}; add texts in other words"
            )
    test, figures = result.sources.test, result.test
    if test is None or figures is None or found.test.mean() < _MANY_DOUBLES:
        return
    rows = [row for row, double in zip(test.rows, found.test, strict=True) if double]
    kind = "text that is held out" if result.config.hold_out else "row of the test"
    kinds = "texts that are held out" if result.config.hold_out else "rows of the test"
    subject = _count(len(rows), f"{kind} repeats a text", f"{kinds} repeat texts")
    right = figures.readings.best_right[: figures.texts][~found.test]
    without = f"without {'it' if len(rows) == 1 else 'them'}"
    share, left_over = wilson(int(right.sum()), len(right)), _count(len(right), "text", "texts")
    new = result.config.hold_out
    others = (
        f"the new version gives {share} of {left_over} their label"
        if new
        else f"{share} of {left_over} get their label"
    )
    left = f"{without} {others}" if len(right) else f"{without} no text of the test is left"
    are = "is" if len(rows) == 1 else "are"
    listed = "" if result.config.hold_out else f": {_rows(rows)} of {test.path.name}"
    yield f"{subject} that {are} trained on, but for opening or ending{listed}; {left}"


def _label_issues(result: TrainingResult) -> Iterator[str]:
    if dropped := result.dropped:
        yield (
            _count(len(dropped), "row is left out because the label is", "rows are left out because their labels are")
            + f" likely wrong; the figures do not count {'it' if len(dropped) == 1 else 'them'}"
        )
    if issues := result.label_issues:
        it = "it" if len(issues) == 1 else "them"
        yield f"{_count(len(issues), 'label is', 'labels are')} likely wrong; correct {it} and train again"


def _conflict(text: RepeatedText) -> str:
    files = dict.fromkeys(text.paths)
    rows = [
        f"{_rows([row for row, path in zip(text.rows, text.paths, strict=True) if path == file])} of {file.name}"
        for file in files
    ]
    return f"rows {', '.join(rows)}: {', '.join(text.labels)}"


def _rows(rows: Sequence[int]) -> str:
    shown = ", ".join(str(row) for row in rows[:_MAX_ROWS])
    return f"{shown} and {len(rows) - _MAX_ROWS} more" if len(rows) > _MAX_ROWS else shown


def _count(count: int, one: str, several: str) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {several}"
