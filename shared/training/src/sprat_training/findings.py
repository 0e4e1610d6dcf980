"""What was found in the files of a training, and what to do next: one sentence each. None holds a text."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sprat_training.datasets.distinct import FEW_TEXTS, MIN_TEXTS, DataSummary, RepeatedText, is_remainder, quoted_group
from sprat_training.datasets.doubles import DoublesFound
from sprat_training.datasets.label_sets import LabelSetSources
from sprat_training.datasets.sources import Sources
from sprat_training.evaluation.metrics import wilson
from sprat_training.fitting.figures import Figures
from sprat_training.fitting.label_fit import FittedLabels
from sprat_training.fitting.label_issues import has_few_texts
from sprat_training.fitting.lexical_gate import LEAST_SHARE

_MAX_ROWS: Final = 6
_MAX_CONFLICTS: Final = 3
_MAX_GROUPS: Final = 5
_MANY_DOUBLES: Final = 0.1
"""Share of doubles from which on it is said: people repeat themselves, too, in CLINC150 and BANKING77 up to 7 %."""
_OFTEN_CONFUSED: Final = 0.15
_MAX_LABELS: Final = 4
_WORST_LABELS: Final = 3


def label_findings(fitted: FittedLabels, doubles: DoublesFound, test: Figures | None) -> Iterator[str]:
    """Yield what was found in the files of a training with one label a text."""
    sources, summary = fitted.sources, fitted.sources.summary
    yield from sources.notes
    yield from _files(sources)
    yield from _repeats(summary)
    yield from _similar(summary)
    yield from _small(summary)
    if summary.sampled_from:
        yield f"{len(sources.data.texts):,} of {summary.sampled_from:,} texts are fitted, drawn evenly over the labels"
    yield from _left_out(sources.leaked_rows, fitted.truncated)
    yield from _doubles(fitted, doubles, test)
    if dropped := len(fitted.dropped):
        yield _count(
            dropped, "row is left out because its label is doubted", "rows are left out: their labels are doubted"
        )
    if issues := len(fitted.label_issues):
        doubted = _count(issues, "label is doubted; it may be right", "labels are doubted; many may be right")
        yield f"{doubted}: check them, and correct what is wrong; a wrong row may be missing"
    if fitted.config.lexical and fitted.stage is None:
        yield (
            f"the encoder reads every text: no stage by words was found that answers at least {LEAST_SHARE:.0%} of "
            "them and is surely no worse"
        )


def set_findings(sources: LabelSetSources, truncated: int) -> Iterator[str]:
    """Yield what was found in the files of a training with several labels a text."""
    yield from sources.notes
    if sources.conflicts:
        rows = _count(len(sources.conflicts), "row is left out for a later one", "rows are left out for later ones")
        yield f"{rows} with other labels: {_rows(sources.conflicts)}"
    if sources.dropped_labels:
        yield f"left out, as too few texts have or lack them: {', '.join(sources.dropped_labels)}"
    if few := sources.few_texts:
        yield f"what is measured of these is uncertain: {', '.join(f'{each} {n}' for each, n in few.items())}"
    if sources.bad_rows:
        yield _count(len(sources.bad_rows), "problem", "problems") + " in rows that are left out"
    yield from _left_out(sources.leaked_rows, truncated)


def label_steps(fitted: FittedLabels, figures: Figures, doubles: DoublesFound) -> Iterator[str]:
    """Yield what to do next, the most useful first."""
    data, config, summary = fitted.data, fitted.config, fitted.sources.summary
    if doubles.is_most(data):
        yield (
            f"Add texts that people wrote: the {len(data.texts):,} rows are {doubles.different:,} different sentences, "
            "which are repeated with other numbers, openings, endings or a few other words"
        )
    for label in filter(is_remainder, data.labels):
        yield (
            f'Decide what "{label}" means. If its texts belong to no other label, train with '
            f"{shlex.join(['--outside-label', label])}: they then count as outside every label"
        )
    if summary.similar_labels:
        yield f"Labels differ by case or white space alone, as {quoted_group(summary.similar_labels[0])}: --merge-case"
    if issues := len(fitted.label_issues):
        most = "" if config.drop_suspects or has_few_texts(data) else ". Where most are wrong, add --drop-suspects"
        rows = _count(issues, "row whose label is doubted", "rows whose labels are doubted")
        yield f"Check the {rows}: correct what is wrong and train again; leave what is right{most}"
    if few := summary.small_labels:
        shown = ", ".join(f"{label} ({count})" for label, count in _fewest(few)[:_MAX_LABELS])
        more = " …" if len(few) > _MAX_LABELS else ""
        yield f"Add texts of the labels that have fewer than {FEW_TEXTS}: {shown}{more}"
    # A label of few different sentences is confused because it has few.
    for worst in figures.confusions:
        if worst.label not in doubles.few and worst.texts >= max(3, _OFTEN_CONFUSED * worst.total):
            yield (
                f'"{worst.label}" is often read as "{worst.predicted}" ({worst.texts} of {worst.total} texts): '
                "make them one label, or add texts that show the difference"
            )
            break
    if fitted.validation.labels_held_out and not any(map(is_remainder, data.labels)):
        yield "Name texts of your traffic that belong to no label, with --out-of-scope FILE: labels held out stood in"
    if config.test_file is None:
        yield "Measure it on a random share of your traffic, with labels by people: sprat evaluate FILE --write"


def set_steps(figures: Figures) -> Iterator[str]:
    """Yield what to do next: which labels to look at."""
    missed = (each for each in figures.labels if each.texts and each.recall < 1)
    if worst := sorted(missed, key=lambda each: (each.recall, each.label))[:_WORST_LABELS]:
        shown = ", ".join(f"{each.label} {each.recall:.0%} of {each.texts:,}" for each in worst)
        yield f"Check the texts of the labels that are found least: {shown}"


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


def _left_out(leaked: Sequence[int], truncated: int) -> Iterator[str]:
    if leaked:
        rows = _count(len(leaked), "row of the test is", "rows of the test are")
        yield f"{rows} trained on, too, and left out of its figures: {_rows(leaked)}"
    if truncated:
        yield _count(truncated, "text is longer than the encoder reads", "texts are longer than the encoder reads")


def _doubles(fitted: FittedLabels, found: DoublesFound, test: Figures | None) -> Iterator[str]:
    texts = len(fitted.data.texts)
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
    asked = fitted.sources.test
    if test is None or asked is None or found.test.mean() < _MANY_DOUBLES:
        return
    rows = [row for row, double in zip(asked.rows, found.test, strict=True) if double]
    right = test.rows.right[: test.texts][~found.test]
    share = wilson(int(right.sum()), len(right))
    yield (
        f"{_count(len(rows), 'row of the test repeats a text that is', 'rows of the test repeat texts that are')} "
        f"trained on, but for opening or ending: {_rows(rows)} of {asked.path.name}"
        + (
            f"; without, {share} of {len(right):,} are right"
            if len(right)
            else "; without, no text of the test is left"
        )
    )


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
