"""The outcome of a training with several labels a text, for a terminal and as JSON."""

import shlex

from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_cli.train.summary import difference_line
from sprat_training.label_set_fit import SetFigures
from sprat_training.label_set_train import LabelSetTraining

_TABLE_KEEP_AT = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_MAX_ROWS = 6


def label_set_lines(result: LabelSetTraining) -> list[str]:
    """Return the lines for a terminal; none holds a text."""
    figures, card = result.test or result.figures, result.card
    return [
        _sizes(result),
        *(f"  {paint('!', 'yellow')} {printable(line)}" for line in label_set_findings(result)),
        "",
        _accuracy("held out", result.figures),
        *([] if result.test is None else [_accuracy("test", result.test)]),
        *difference_line(result.figures.exact, None if result.test is None else result.test.exact),
        "",
        *_label_table(figures),
        "",
        *_keep_at_table(figures, card.keep_at),
        "",
        f"{result.config.output}: version {card.version}, keep_at {card.keep_at:.2f}: {card.keep_at_rule}",
        *_next_steps(result),
    ]


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
        "held_out": _figures_json(result.figures, card.keep_at),
        "test": None if result.test is None else _figures_json(result.test, card.keep_at),
    }


def _sizes(result: LabelSetTraining) -> str:
    data = result.sources.data
    none = int((~data.gold.any(axis=1)).sum())
    mean = data.gold.sum() / max(len(data.texts), 1)
    return (
        f"{result.config.source}: {counted(result.sources.rows, 'row')}; {counted(len(data.texts), 'text')}, "
        f"{len(data.labels)} labels, {mean:.2f} of them a text, {none:,} texts with none"
    )


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


def _accuracy(where: str, figures: SetFigures) -> str:
    return (
        f"{where}: all labels right {figures.exact} of {counted(figures.texts, 'text')}; micro-F1 "
        f"{figures.micro_f1:.3f}, macro-F1 {figures.macro_f1:.3f}"
    )


def _label_table(figures: SetFigures) -> list[str]:
    rows = [("LABEL", "TEXTS", "RECALL", "PRECISION")]
    rows += [
        (printable(each.label, 40), f"{each.texts:,}", f"{each.recall:.1%}", f"{each.precision:.1%}")
        for each in sorted(figures.labels, key=lambda each: (each.recall, each.label))
    ]
    head, *rest = table(rows)
    return [f"  {faint(head)}", *(f"  {line}" for line in rest)]


def _keep_at_table(figures: SetFigures, keep_at: float) -> list[str]:
    rows = [("KEEP_AT", "ESCALATED", "ALL LABELS RIGHT OF THOSE KEPT")]
    for at in sorted({*_TABLE_KEEP_AT, keep_at}):
        kept = figures.at(at)
        mark = "  ← recommended" if at == keep_at else ""
        rows.append((f"{at:.2f}", f"{1 - kept.share:.1%}", f"{kept.shown_right}{mark}"))
    head, *rest = table(rows)
    return [f"  {faint(head)}", *(f"  {line}" for line in rest)]


def _next_steps(result: LabelSetTraining) -> list[str]:
    """Return how to serve the model; where it keeps nothing, what to do before."""
    if result.card.keep_at >= 1.0:
        return ["nothing is kept, so do not serve it yet: correct wrong labels, add texts, and train again"]
    return ["serve it as a task of your own:", f"  {_init_command(result)}"]


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
    }
