"""The outcome of a training for a terminal, and as JSON."""

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
    file_findings,
    misread_texts,
    send_command,
    serve_command,
)
from sprat_training.label_issues import LabelIssue
from sprat_training.train import TrainingResult
from sprat_training.verdict import Verdict

MOST_LINES: Final = 12
"""Lines that a training prints at its end; everything else stands in the report and in `--json`."""
_LEAST_ISSUES: Final = 4
"""Lines that doubted rows get, where other findings need lines, too."""


def summary_lines(result: TrainingResult, report: Path, change: Sequence[str], *, show_texts: bool) -> list[str]:
    """Return at most `MOST_LINES` lines for a terminal, the most important first.

    Args:
        result: of the training.
        report: its path.
        change: the lines on the version that was replaced, at the end; none where the folder is new.
        show_texts: whether the beginnings of texts of the file are among them.
    """
    verdict = _verdict(result.verdict)
    figures = [
        *([] if result.test is None else [_accuracy("test file", result.test, result)]),
        _accuracy("held out", result.figures, result),
    ]
    ends = [*_next_steps(result, is_served=bool(change)), *change]
    test = None if result.test is None else result.test.accuracy
    remarks = [*difference_line(result.figures.accuracy, test), *map(remark_line, file_findings(result))]
    room = MOST_LINES - len(verdict) - len(figures) - len(ends) - 1
    issues = _doubted(result, max(room - len(remarks), min(room, _LEAST_ISSUES)), show_texts=show_texts)
    shown = room - len(issues)
    first, *rest = verdict
    return [first, *issues, *rest, *figures, *remarks[:shown], _written(result, report, remarks[shown:]), *ends]


def _doubted(result: TrainingResult, room: int, *, show_texts: bool) -> list[str]:
    """Return the rows whose labels are doubted, as many as there is room for, below a heading."""
    issues = result.label_issues or result.dropped
    if not issues:
        return []
    shown = issues[: room - 1]
    rows = [
        (
            each.path.name,
            f"row {each.row}",
            f"{each.label} → {each.likely_label}",
            *([excerpt(result, each.index)] if show_texts else []),
        )
        for each in shown
    ]
    what = "check these labels, which may be right" if result.label_issues else "left out, as the labels are doubted"
    of = "" if len(shown) == len(issues) else f" ({len(shown)} of {len(issues):,}; more in the report)"
    return [paint(f"{what}{of}:", "yellow"), *(f"  {printable(line)}" for line in table(rows))]


def remark_line(said: str) -> str:
    """Return the line of a finding."""
    return f"{paint('!', 'yellow')} {printable(said)}"


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
    return [*lines, *(f"Do first: {printable(step)}." for step in verdict.steps[:1])]


def _repeated(text: RepeatedText) -> dict[str, object]:
    return {"rows": text.rows, "files": [str(path) for path in text.paths], "labels": text.labels}


def label_issue_lines(issues: Sequence[LabelIssue]) -> list[str]:
    """Return all rows whose labels are doubted, as a table."""
    if not issues:
        return []
    head, *rest = table(
        [
            ("FILE", "ROW", "LABEL", "LIKELY LABEL"),
            *((each.path.name, str(each.row), each.label, each.likely_label) for each in issues),
        ]
    )
    lines = [f"      {faint(head)}", *(f"      {printable(line)}" for line in rest)]
    return [*lines, faint("      a row that you found right may be listed again where the texts are few: leave it")]


def _accuracy(name: str, figures: TrainingFigures, result: TrainingResult) -> str:
    kept = figures.at(result.card.keep_at)
    traffic = "of the traffic is" if figures.outside_texts else "is"
    return (
        f"{name}: {figures.accuracy} of {counted(figures.texts, 'text')} get their label if all are kept; at keep_at "
        f"{kept.keep_at:.2f}, {kept.share:.1%} {traffic} kept, {kept.shown_right} of that right"
    )


def difference_line(held_out: Interval, test: Interval | None) -> list[str]:
    """Return the line on a test file that differs from the held-out texts by more than chance; else nothing."""
    said = differs_on_test(held_out, test)
    return [] if said is None else [remark_line(said)]


def _default_language() -> str:
    """Return the language of texts that name none, as far as it is known where a model is trained."""
    try:
        return default_language()
    except UserError:  # a wrong setting is the services' to report, not a training's that is done
        return DEFAULT_LANGUAGE


def _written(result: TrainingResult, report: Path, left: Sequence[str]) -> str:
    card = result.card
    more = f", with {counted(len(left), 'further finding')}" if left else ""
    return (
        f"{result.config.output}: intent/{card.name}, version {card.version}, keep_at {card.keep_at:.2f}; "
        f"{report}: the report{more}"
    )


def _next_steps(result: TrainingResult, *, is_served: bool) -> list[str]:
    """Return the commands that serve the model and ask it; the latter is known where a version before was served."""
    if result.verdict.grade == "poor":
        return [f"nothing is kept, so do not serve it yet: {printable(before_serving(result))}"]
    ask = [] if is_served else [f"ask it: {send_command(result, _default_language())}"]
    return [f"serve it: {serve_command(result)}", *ask]
