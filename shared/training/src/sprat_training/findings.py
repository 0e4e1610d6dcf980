"""What was found in a training, in sentences and tables: for the terminal and for the report.

Texts of the file are shown only where the user asks for it with `--show-texts`.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sprat_contracts.languages import is_auto, is_served
from sprat_training.data import MIN_TEXTS, DataSummary, RepeatedText, quoted_group
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.figures import OUTCOMES, TrainingFigures
from sprat_training.lexical_gate import LEAST_SHARE
from sprat_training.sources import Sources
from sprat_training.train import TrainingResult

OUTSIDE_EVERY_LABEL: Final = "(outside every label)"
_UNTIL_ASSESSED: Final = "until `sprat assess` shows more on new texts of your traffic"
_MAX_ROWS: Final = 6
_MAX_CONFLICTS: Final = 3
_MAX_GROUPS: Final = 5
_MAX_EXCERPT: Final = 80
_MANY_DOUBLES: Final = 0.1
"""Share of doubles from which on it is said: people repeat themselves, too, in CLINC150 and BANKING77 up to 7 %."""


def findings(result: TrainingResult) -> list[str]:
    """Return what was found in the data, one sentence each; empty where nothing was."""
    return [*file_findings(result), *_label_issues(result)]


def file_findings(result: TrainingResult) -> list[str]:
    """Return what was found in the files but for doubted labels, one sentence each."""
    summary = result.sources.summary
    return [
        *result.sources.notes,
        *_files(result.sources),
        *_repeats(summary),
        *_similar(summary),
        *_small(summary),
        *_unused(result),
        *_doubles(result),
    ]


def differs_on_test(
    held_out: Interval, test: Interval | None, file: str = "the test file", until: str = _UNTIL_ASSESSED
) -> str | None:
    """Return what a test file means on which clearly more, or fewer, texts are right than of those held out.

    Args:
        held_out: the share right of texts of the training file, by heads that had not seen them.
        test: that of the test file; None where there is none.
        file: what the test file is called.
        until: how long to count on the lower figure.

    Returns:
        None where the 95 % intervals overlap: then no difference is shown.
    """
    if test is None or held_out.overlaps(test):
        return None
    better = test.low > held_out.high
    why = (
        "easier, or much like those that were trained on, or the training file has wrong labels"
        if better
        else "harder, or unlike those that were trained on, or have wrong labels"
    )
    more, less = (file, "the held-out texts") if better else ("the held-out texts", file)
    return (
        f"more of {more} is right than of {less}, by more than chance: {file}'s texts are {why}; count on the lower "
        f"figure {until}"
    )


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


def outside_said(figures: TrainingFigures, result: TrainingResult, where: str = "") -> str:
    """Return what becomes of texts outside every label, and what they are.

    Args:
        figures: which have texts outside.
        result: of the training.
        where: they are from, as " of the test file".
    """
    return outside_at(figures, result.card.keep_at, _outside_texts(figures, result, where))


def outside_at(figures: TrainingFigures, keep_at: float, texts: str) -> str:
    """Return what becomes of texts outside every label at a `keep_at`; `texts` says in words which these are."""
    with_label, escalated = figures.outcomes(keep_at).outside[1], figures.outcomes(keep_at).outside[-1]
    return (
        f"of {texts}, at keep_at {keep_at:.2f}, {with_label:.1%} are kept with a "
        f"label, which is wrong, and {escalated:.1%} are escalated; {figures.outside_recall:.1%} are called outside if "
        f"all are kept; such texts count as {figures.outside_share:.0%} of the traffic"
    )


def _outside_texts(figures: TrainingFigures, result: TrainingResult, where: str) -> str:
    texts = f"{_count(figures.outside_texts, 'text', 'texts')}{where}"
    if figures is result.figures and result.labels_held_out:
        return f"{texts} of labels held out in turn, which stand in for texts outside every label"
    if figures is result.figures:
        return f"{texts} outside every label (mean of the heads that were fitted on parts of the texts)"
    return f"{texts} outside every label"


def send_command(result: TrainingResult, default_language: str) -> str:
    """Return the command that sends the model a text; its language is needed where another is the default one."""
    languages = result.config.languages
    language = (
        "" if is_auto(default_language) or is_served(default_language, languages) else f" --language {languages[0]}"
    )
    return f'sprat send "…" --task intent@{result.card.name}{language}'


def serve_command(result: TrainingResult) -> str:
    """Return the command that serves the model beside the shipped one, run where the training was started."""
    return shlex.join(["sprat", "up", "--model", f"intent/{result.card.name}={result.config.output}"])


def before_serving(result: TrainingResult) -> str:
    """Return what to do before a model is served that keeps nothing."""
    rows = "correct the rows whose labels are doubted, " if result.label_issues or result.dropped else ""
    return f"{rows}add texts of each label to the files, and train again"


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
            shortened(texts[index]),
        )
        for index in found[np.argsort(-confidence[found], kind="stable")]
    ]


def excerpt(result: TrainingResult, index: int) -> str:
    """Return the beginning of a text of the sources on one line."""
    return shortened(result.sources.data.texts[index])


def shortened(text: str) -> str:
    """Return the beginning of a text on one line."""
    text = " ".join(text.split())
    return text if len(text) <= _MAX_EXCERPT else text[: _MAX_EXCERPT - 1] + "…"


def _files(sources: Sources) -> Iterator[str]:
    for file in sources.summary.files:
        name = file.path.name
        if file.encoding is not None:
            yield f"{name} is read as {file.encoding}; if its letters look wrong, name another --encoding"
        if (taken := file.taken_for_labels) is not None:
            yield f'{name}: the labels are taken from "{taken}"; name another column with --label-column'
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
        shown = "; ".join(rows_and_labels(text) for text in summary.conflicts[:_MAX_CONFLICTS])
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
            f"{repeated:,} of {texts:,} texts repeat another one of their label but for opening, ending, numbers or a "
            "few words, as rows from a template do: they are held out together, so the figures rest on "
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
    subject = _count(len(rows), "row of the test repeats a text", "rows of the test repeat texts")
    right = figures.readings.best_right[: figures.texts][~found.test]
    without = f"without {'it' if len(rows) == 1 else 'them'}"
    share, left_over = wilson(int(right.sum()), len(right)), _count(len(right), "text", "texts")
    others = f"{share} of {left_over} get their label"
    left = f"{without} {others}" if len(right) else f"{without} no text of the test is left"
    are = "is" if len(rows) == 1 else "are"
    listed = f"{_rows(rows)} of {test.path.name}"
    yield f"{subject} that {are} trained on, but for opening or ending: {listed}; {left}"


def _label_issues(result: TrainingResult) -> Iterator[str]:
    if dropped := result.dropped:
        yield (
            _count(len(dropped), "row is left out because the label is", "rows are left out because their labels are")
            + f" doubted; the figures do not count {'it' if len(dropped) == 1 else 'them'}"
        )
    if issues := result.label_issues:
        one, labels = len(issues) == 1, _label_of_rows(len(issues))
        right, them = ("it may be right", "it") if one else ("many of them may be right", "them")
        yield f"{labels} doubted; {right}: check {them}, and correct what is wrong; a wrong row may be missing"


def _label_of_rows(rows: int) -> str:
    return "the label of 1 row is" if rows == 1 else f"the labels of {rows:,} rows are"


def rows_and_labels(text: RepeatedText) -> str:
    """Return the rows of a text that repeats, and its labels."""
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
