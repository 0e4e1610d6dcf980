"""The outcome of a training for a terminal, and as JSON."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat.settings import default_language
from sprat_cli.terminal import counted, faint, paint, printable, table
from sprat_contracts.languages import DEFAULT_LANGUAGE
from sprat_training.data import RepeatedText
from sprat_training.evaluation.metrics import Interval
from sprat_training.figures import OUTCOMES, TrainingFigures
from sprat_training.findings import (
    before_serving,
    differs_on_test,
    excerpt,
    findings,
    lexical_sentence,
    misread_texts,
    outcome_table,
    outside_said,
    send_command,
    serve_command,
)
from sprat_training.label_issues import LabelIssue
from sprat_training.train import TrainingResult
from sprat_training.verdict import Verdict

_MAX_ISSUES: Final = 10
_MAX_CONFUSIONS: Final = 5
_MAX_MISREAD: Final = 10
_WHICH_WAY: Final = (
    "both answer alike: begin with the first, to change takes no training. A task of its own has its own topic of",
    "results, and a file with its keep_at and what its labels mean, which a large model is told",
)
_TABLE_KEEP_AT: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def summary_lines(result: TrainingResult, report: Path, *, show_texts: bool) -> list[str]:
    """Return the lines for a terminal; texts of the file are among them only with `show_texts`."""
    figures = result.test or result.figures
    lines = [
        _sizes(result),
        *(f"  {paint('!', 'yellow')} {printable(line)}" for line in findings(result)),
        *label_issue_lines(
            result.label_issues or result.dropped,
            texts=[excerpt(result, each.index) for each in result.label_issues or result.dropped] if show_texts else (),
            most=_MAX_ISSUES,
        ),
        "",
        *_verdict(result.verdict),
        "",
        *_accuracy("held out", result.figures, result),
        *([] if result.test is None else _accuracy("test file", result.test, result)),
        *difference_line(result.figures.accuracy, None if result.test is None else result.test.accuracy),
        *_stage(result),
        *_outcomes(result, figures, show_texts=show_texts),
        *_confusions(figures, result),
        "",
        *_keep_at_table(figures, result),
    ]
    if result.labels_held_out:
        lines.append(faint("  labels held out in turn served as texts outside: name real ones with --out-of-scope"))
    return [*lines, "", *_next_steps(result, report)]


def _sizes(result: TrainingResult) -> str:
    labelled = f"{counted(len(result.data.texts), 'text')} with one of {len(result.data.labels)} labels"
    rows, outside = counted(result.sources.summary.rows, "row"), len(result.sources.outside)
    return f"{result.config.source}: {rows}; {labelled}, {outside:,} outside every label"


def summary_json(result: TrainingResult, report: Path) -> dict[str, object]:
    """Return the fields of `--json`: numbers of rows, never texts."""
    card, summary = result.card, result.sources.summary
    return {
        "type": "trained",
        "name": card.name,
        "version": card.version,
        "folder": str(result.config.output),
        "report": str(report),
        "keep_at": card.keep_at,
        "keep_at_rule": card.keep_at_rule,
        "verdict": {
            "grade": result.verdict.grade,
            "sentence": result.verdict.sentence,
            "reason": result.verdict.reason,
            "do_next": result.verdict.steps,
            "keep_at_holds": result.verdict.keep_at_holds,
        },
        "rows": summary.rows,
        "outcomes": _outcomes_json(result.test or result.figures, card.keep_at),
        "kept_wrong": [
            {"file": str(each.path), "row": each.row, "given": each.label, "kept_as": each.said}
            for each in misread_texts(result)
        ],
        "texts": len(result.data.texts),
        "lexical": None if result.stage is None else asdict(result.stage),
        "labels": len(result.data.labels),
        "scores": {score.name: score.value for score in card.scores},
        "files": [
            {
                "file": str(file.path),
                "encoding": file.encoding or "UTF-8",
                "blank_rows": file.blank_rows,
                "unused_columns": file.unused_columns,
            }
            for file in summary.files
        ],
        "notes": result.sources.notes,
        "repeated": [text.rows for text in summary.repeats],
        "several_labels": [_repeated(text) for text in summary.conflicts],
        "corrected": [_repeated(text) for text in summary.corrected],
        "few_texts": summary.small_labels,
        "alike_labels": summary.similar_labels,
        "leaked_test_rows": result.sources.leaked_rows,
        "different_sentences": result.doubles.different,
        "few_sentences": result.doubles.few,
        "test_doubles": _test_doubles(result),
        "bad_rows": [
            {"file": str(each.path), "row": each.row, "column": each.column, "problem": each.problem}
            for each in result.sources.bad_rows
        ],
        "likely_wrong": [issue_json(each) for each in result.label_issues],
        "dropped": [issue_json(each) for each in result.dropped],
    }


def _outcomes_json(figures: TrainingFigures, keep_at: float) -> list[dict[str, object]]:
    found = figures.outcomes(keep_at)
    return [
        {
            "outcome": name,
            "texts": found.texts[at],
            "likeliest_label_right": found.best_right[at],
            "share_of_outside": round(found.outside[at], 4),
            "share_of_traffic": round(found.traffic[at], 4),
        }
        for at, name in enumerate(OUTCOMES)
    ]


def _test_doubles(result: TrainingResult) -> list[int]:
    test = result.sources.test
    if test is None:
        return []
    return [row for row, double in zip(test.rows, result.doubles.test, strict=True) if double]


def issue_json(issue: LabelIssue) -> dict[str, object]:
    """Return a row whose label is doubted, for `--json`."""
    return {
        "file": str(issue.path),
        "row": issue.row,
        "given": issue.label,
        "believed": issue.likely_label,
        "doubt": issue.margin,
    }


def _verdict(verdict: Verdict) -> list[str]:
    colour = {"good": "green", "fair": "yellow", "poor": "red"}[verdict.grade]
    lines = [paint(verdict.sentence, colour)]
    if verdict.reason is not None:
        lines.append(paint(f"Why: {printable(verdict.reason)}.", colour))
    return [*lines, *(f"  {number}. {printable(step)}" for number, step in enumerate(verdict.steps, start=1))]


def _repeated(text: RepeatedText) -> dict[str, object]:
    return {"rows": text.rows, "files": [str(path) for path in text.paths], "labels": text.labels}


def label_issue_lines(issues: Sequence[LabelIssue], *, texts: Sequence[str] = (), most: int | None = None) -> list[str]:
    """Return the rows whose labels are doubted.

    Args:
        issues: the rows.
        texts: the beginnings of their texts, where they are shown.
        most: rows that are shown, where a report has the others; None for all.
    """
    if not issues:
        return []
    head, *rest = table(
        [
            ("FILE", "ROW", "LABEL", "LIKELY LABEL", *(["TEXT"] if texts else [])),
            *(
                (each.path.name, str(each.row), each.label, each.likely_label, *texts[at : at + 1])
                for at, each in enumerate(issues[:most])
            ),
        ]
    )
    lines = [f"      {faint(head)}", *(f"      {printable(line)}" for line in rest)]
    if most is not None and len(issues) > most:
        lines.append(faint(f"      and {len(issues) - most:,} more, in the report"))
    return [*lines, faint("      a row that you found right may be listed again where the texts are few: leave it")]


def _accuracy(name: str, figures: TrainingFigures, result: TrainingResult) -> list[str]:
    kept = figures.at(result.card.keep_at)
    texts, f1 = counted(figures.texts, "text"), figures.macro_f1
    traffic = "of the traffic is" if figures.outside_texts else "is"
    lines = [
        f"{name + ':':12}{figures.accuracy} of {texts} get their label if all are kept; macro F1 {f1:.1%}",
        f"{'':12}at keep_at {kept.keep_at:.2f}, {kept.share:.1%} {traffic} kept, {kept.shown_right} of them right",
    ]
    if figures.outside_recall is not None:
        lines.append(f"{'':12}{outside_said(figures, result)}")
    return lines


def difference_line(held_out: Interval, test: Interval | None) -> list[str]:
    """Return the line on a test file that differs from the held-out texts by more than chance; else nothing."""
    said = differs_on_test(held_out, test)
    return [] if said is None else [f"  {paint('!', 'yellow')} {said}"]


def _stage(result: TrainingResult) -> list[str]:
    return [f"{'by words:':12}{lexical_sentence(result)}"] if result.config.lexical else []


def _outcomes(result: TrainingResult, figures: TrainingFigures, *, show_texts: bool) -> list[str]:
    """Return what becomes of each text, in columns that add up, and the texts that are kept and wrong."""
    names, *cells = outcome_table(figures, result.card.keep_at)
    head, *rest = table([tuple(map(str.upper, names)), *cells])
    of = _measured_on(result)
    lines = ["", f"what becomes of {of} at keep_at {result.card.keep_at:.2f}:", f"  {faint(head)}"]
    lines += [f"  {line}" for line in rest]
    misread = misread_texts(result)
    if not misread:
        return lines
    head, *rest = table(
        [
            ("FILE", "ROW", "LABEL", "KEPT AS", *(["TEXT"] if show_texts else [])),
            *(
                (
                    each.path.name,
                    str(each.row),
                    each.label,
                    each.said,
                    *([each.text] if show_texts else []),
                )
                for each in misread[:_MAX_MISREAD]
            ),
        ]
    )
    lines += ["", "kept and wrong, the surest first:", f"  {faint(head)}", *(f"  {printable(line)}" for line in rest)]
    if len(misread) > _MAX_MISREAD:
        lines.append(faint(f"  and {len(misread) - _MAX_MISREAD:,} more, in the report"))
    return lines


def _measured_on(result: TrainingResult) -> str:
    return "the test file" if result.test else "the held-out texts"


def _confusions(figures: TrainingFigures, result: TrainingResult) -> list[str]:
    if not figures.confusions:
        return []
    top = figures.confusions[:_MAX_CONFUSIONS]
    cells = [(f"{each.texts} of {each.total}", f"{each.label} → {each.predicted}") for each in top]
    of = _measured_on(result)
    return ["", f"most frequent confusions in {of}:", *(f"  {printable(line)}" for line in table(cells))]


def _keep_at_table(figures: TrainingFigures, result: TrainingResult) -> list[str]:
    """Return what is escalated, and how much of the rest is right, at several thresholds."""
    keep_at = result.card.keep_at
    note = "recommended" if result.verdict.keep_at_holds else "that of the card, not recommended"
    chosen = "; that of the card is chosen on held-out texts" if result.test else ""
    rows = [("KEEP_AT", "ESCALATED", "RIGHT OF THOSE KEPT")]
    for at in sorted({*_TABLE_KEEP_AT, keep_at}):
        kept = figures.at(at)
        mark = f"  ← {note}" if at == keep_at else ""
        rows.append((f"{at:.2f}", f"{1 - kept.share:.1%}", f"{kept.shown_right}{mark}"))
    head, *rest = table(rows)
    heading = f"keep_at, counted on {_measured_on(result)}{chosen}:"
    return [heading, f"  {faint(head)}", *(f"  {line}" for line in rest)]


def _default_language() -> str:
    """Return the language of texts that name none, as far as it is known where a model is trained."""
    try:
        return default_language()
    except UserError:  # a wrong setting is the services' to report, not a training's that is done
        return DEFAULT_LANGUAGE


def _next_steps(result: TrainingResult, report: Path) -> list[str]:
    card, output = result.card, result.config.output
    lines = [
        f"{output}: intent/{card.name}, version {card.version}",
        f"{report}: the report",
        "",
    ]
    if result.verdict.grade == "poor":
        return [*lines, f"nothing is kept, so do not serve it yet: {printable(before_serving(result))}"]
    lines += [
        "serve it beside the shipped model:",
        f"  {serve_command(result)}",
        f"  {send_command(result, _default_language())}",
    ]
    if result.verdict.keep_at_holds and card.keep_at < 1.0:
        lines += [
            f"  and in your policy file, under tasks.intent.models.{card.name}: keep_at: {card.keep_at:.2f}",
            "  no policy yet: sprat init --tenant NAME",
        ]
    lines += ["or as a task of its own:", f"  sprat task init NAME --artefact {shlex.quote(str(output))}"]
    if not result.verdict.keep_at_holds:
        lines.append(
            "  and measure with `sprat assess` before you choose its keep_at: the test file is worse at "
            f"{card.keep_at:.2f}, that of the card"
        )
    lines += _WHICH_WAY
    if result.verdict.keep_at_holds and card.keep_at < 1.0:
        found = result.figures.recommended(result.config.accuracy)
        if found is not None and not found.is_shown:
            lines.append(
                f"keep_at {card.keep_at:.2f} is provisional: write a lower one only where `sprat assess` does not call "
                "that provisional"
            )
    return lines
