"""The outcome of a training with several labels a text, for a terminal and as JSON."""

import shlex
from collections.abc import Sequence
from typing import Final

from sprat_cli.terminal import counted, faint, printable
from sprat_cli.train.summary import MOST_LINES, difference_line, remark_line
from sprat_training.figures import LabelFigures
from sprat_training.label_set_fit import SetFigures
from sprat_training.label_set_train import LabelSetTraining

_MAX_ROWS: Final = 6
_WORST_LABELS: Final = 3


def label_set_lines(result: LabelSetTraining, change: Sequence[str]) -> list[str]:
    """Return at most `MOST_LINES` lines for a terminal, the most important first; none holds a text.

    Args:
        result: of the training.
        change: the lines on the version that was replaced, at the end; none where the folder is new.
    """
    card = result.card
    figures = [
        *([] if result.test is None else [_accuracy("test file", result.test, card.keep_at)]),
        _accuracy("held out", result.figures, card.keep_at),
    ]
    first = [f"keep_at {card.keep_at:.2f}: {card.keep_at_rule}", *_worst(result.test or result.figures)]
    ends = [_next_step(result), *change]
    test = None if result.test is None else result.test.exact
    remarks = [*difference_line(result.figures.exact, test), *map(remark_line, label_set_findings(result))]
    room = MOST_LINES - len(first) - len(figures) - len(ends) - 1
    shown, left = remarks[:room], len(remarks) - room
    if left > 0:  # the last line says that there are more
        shown = [*shown[:-1], faint(f"{left + 1} further findings: --json")]
    written = f"{result.config.output}: version {card.version}; --json has each label and keep_at"
    return [*first, *figures, *shown, written, *ends]


def label_set_json(result: LabelSetTraining) -> dict[str, object]:
    """Return the fields of `--json`: numbers of rows, never texts."""
    card, sources = result.card, result.sources
    return {
        "type": "trained",
        "kind": card.kind,
        "name": card.name,
        "version": card.version,
        "folder": str(result.config.output),
        "keep_at": card.keep_at,
        "keep_at_rule": card.keep_at_rule,
        "rows": sources.rows,
        "texts": len(sources.data.texts),
        "conflicts": sources.conflicts,
        "dropped_labels": dict(sources.dropped_labels),
        "few_texts": dict(sources.few_texts),
        "leaked_rows": sources.leaked_rows,
        "skipped_rows": [each.row for each in sources.bad_rows],
        "findings": label_set_findings(result),
        "held_out": _figures_json(result.figures, card.keep_at),
        "test": None if result.test is None else _figures_json(result.test, card.keep_at),
    }


def label_set_findings(result: LabelSetTraining) -> list[str]:
    """Return what was found in the files, a sentence each."""
    sources = result.sources
    lines = list(sources.notes)
    if sources.conflicts:
        shown = _rows(sources.conflicts)
        lines.append(f"{counted(len(sources.conflicts), 'row')} left out for a later row with other labels: {shown}")
    if sources.dropped_labels:
        lines.append(f"left out, as too few texts have or lack them: {', '.join(sources.dropped_labels)}")
    if few := sources.few_texts:
        lines.append(f"what is measured of these is uncertain: {', '.join(f'{each} {n}' for each, n in few.items())}")
    if sources.leaked_rows:
        lines.append(f"rows of the test left out, as they are trained on: {_rows(sources.leaked_rows)}")
    if sources.bad_rows:
        lines.append(f"{counted(len(sources.bad_rows), 'problem')} in rows that are left out")
    if result.truncated:
        lines.append(f"{counted(result.truncated, 'text')} longer than the encoder reads")
    return lines


def _rows(rows: tuple[int, ...]) -> str:
    more = f" and {len(rows) - _MAX_ROWS:,} more" if len(rows) > _MAX_ROWS else ""
    return ", ".join(map(str, rows[:_MAX_ROWS])) + more


def _accuracy(where: str, figures: SetFigures, keep_at: float) -> str:
    kept = figures.at(keep_at)
    return (
        f"{where}: all labels right {figures.exact} of {counted(figures.texts, 'text')}; at keep_at {keep_at:.2f}, "
        f"{kept.share:.1%} is kept, {kept.shown_right} of that right"
    )


def _worst(figures: SetFigures) -> list[str]:
    """Return the line on the labels that are found least, where any is missed."""
    worst = sorted((each for each in figures.labels if each.texts and each.recall < 1), key=_by_recall)[:_WORST_LABELS]
    if not worst:
        return []
    shown = ", ".join(f"{printable(each.label, 40)} {each.recall:.0%} of {each.texts:,}" for each in worst)
    return [f"check the texts of the labels that are found least: {shown}"]


def _by_recall(each: LabelFigures) -> tuple[float, str]:
    return each.recall, each.label


def _next_step(result: LabelSetTraining) -> str:
    """Return how to serve the model; where it keeps nothing, what to do before."""
    if result.card.keep_at >= 1.0:
        return "nothing is kept, so do not serve it yet: correct wrong labels, add texts, and train again"
    return f"serve it as a task of your own: {_init_command(result)}"


def _init_command(result: LabelSetTraining) -> str:
    card, folder = result.card, str(result.config.output)
    task = "".join(each if each.isascii() and each.isalnum() else "-" for each in card.name.lower()).lstrip(
        "-0123456789"
    )
    options = ["--kind", "multi_label", "--artefact", folder]
    return shlex.join(["sprat", "task", "init", task[:32] or "mine", *options, "--keep-at", f"{card.keep_at:.2f}"])


def _figures_json(figures: SetFigures, keep_at: float) -> dict[str, object]:
    kept = figures.at(keep_at)
    return {
        "texts": figures.texts,
        "accuracy": [round(each, 4) for each in (figures.exact.value, figures.exact.low, figures.exact.high)],
        "micro_f1": round(figures.micro_f1, 4),
        "macro_f1": round(figures.macro_f1, 4),
        "calibration_error": round(figures.calibration_error, 4),
        "kept_share": round(kept.share, 4),
        "kept_right": round(kept.right.value, 4) if kept.share else None,
        "labels": [
            {
                "label": each.label,
                "texts": each.texts,
                "recall": round(each.recall, 4),
                "precision": round(each.precision, 4),
            }
            for each in figures.labels
        ],
        "thresholds": [
            {"keep_at": each.keep_at, "kept_share": round(each.share, 4), "kept_right": round(each.right.value, 4)}
            for each in figures.curve
            if each.share
        ],
    }
