"""What a terminal shows of a training."""

from pathlib import Path
from typing import Final

from sprat_cli.terminal import faint, paint, printable, table
from sprat_training.config import Trained
from sprat_training.figures import TrainingFigures
from sprat_training.findings import excerpt, found, serving

_SUSPECTS: Final = 10
_PAIRS: Final = 5
_TRADE: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def summary(trained: Trained, report: Path, *, show_texts: bool) -> list[str]:
    """Give the lines."""
    wish, training = trained.wish, trained.training
    lines = [
        f"{wish.file}: {trained.look.read:,} rows, {len(training.texts):,} texts, {len(training.labels)} labels",
        *(f"  {paint('!', 'yellow')} {printable(line)}" for line in found(trained)),
        *_suspected(trained, show_texts=show_texts),
        "",
        *_figures("held out", trained.figures, trained),
        *([] if trained.test is None else _figures("test file", trained.test, trained)),
        *_confused(trained.test or trained.figures),
        "",
        *_trade(trained.test or trained.figures, trained.card.keep_at),
    ]
    if trained.stand_ins:
        lines.append(faint("  labels held out in turn stood in for texts outside: name real ones with --out-of-scope"))
    return [*lines, "", *_next(trained, report)]


def _suspected(trained: Trained, *, show_texts: bool) -> list[str]:
    if not trained.suspects:
        return []
    head = ("ROW", "LABEL GIVEN", "BELIEVED", *(["TEXT"] if show_texts else []))
    rows = [
        (str(each.row), each.given, each.believed, *([excerpt(trained, each.place)] if show_texts else []))
        for each in trained.suspects[:_SUSPECTS]
    ]
    first, *rest = table([head, *rows])
    lines = [f"      {faint(first)}", *(f"      {printable(line)}" for line in rest)]
    if len(trained.suspects) > _SUSPECTS:
        lines.append(faint(f"      and {len(trained.suspects) - _SUSPECTS:,} more, in the report"))
    return lines


def _figures(where: str, figures: TrainingFigures, trained: Trained) -> list[str]:
    kept = figures.at(trained.card.keep_at)
    count = f"{figures.texts:,} texts"
    said = [
        f"{where + ':':12}{figures.accuracy} of {count} get their label; macro F1 {figures.macro_f1:.1%}",
        f"{'':12}at keep_at {trained.card.keep_at:.2f} {kept.share:.1%} are kept, {kept.right} of them right",
    ]
    if figures.outside_recall is not None:
        said.append(
            f"{'':12}{figures.outside_recall:.1%} of the texts outside are seen to be so, "
            f"counted as {figures.outside_share:.0%} of the traffic"
        )
    return said


def _confused(figures: TrainingFigures) -> list[str]:
    if not figures.pairs:
        return []
    cells = [(f"{each.texts} of {each.of}", f"{each.given} → {each.believed}") for each in figures.pairs[:_PAIRS]]
    return ["", "taken for another most often:", *(f"  {printable(line)}" for line in table(cells))]


def _trade(figures: TrainingFigures, keep_at: float) -> list[str]:
    """What one gets for escalating more."""
    rows = [("KEEP_AT", "ESCALATED", "RIGHT OF THOSE KEPT")]
    for at in sorted({*_TRADE, keep_at}):
        kept = figures.at(at)
        mark = "  ← recommended" if at == keep_at else ""
        rows.append((f"{at:.2f}", f"{1 - kept.share:.1%}", f"{kept.right if kept.share else '–'}{mark}"))
    head, *rest = table(rows)
    return [f"  {faint(head)}", *(f"  {line}" for line in rest)]


def _next(trained: Trained, report: Path) -> list[str]:
    card, output = trained.card, trained.wish.output
    lines = [
        f"{output}: intent/{card.name}, version {card.version}",
        f"{report}: the report",
        "",
        "serve it beside the shipped model:",
        f"  {serving(trained)}",
        f'  sprat send "…" --task intent@{card.name}',
    ]
    if card.keep_at == 1.0:
        lines.append(
            paint(
                "  at no keep_at enough is right: everything would be escalated. More texts, or a lower --accuracy",
                "red",
            )
        )
    else:
        lines.append(f"  and in your policy file, under tasks.intent.models.{card.name}: keep_at: {card.keep_at:.2f}")
    return lines


def as_json(trained: Trained, report: Path) -> dict[str, object]:
    """Give all for machines; rows, never texts."""
    card, look = trained.card, trained.look
    return {
        "type": "trained",
        "name": card.name,
        "version": card.version,
        "folder": str(trained.wish.output),
        "report": str(report),
        "keep_at": card.keep_at,
        "keep_at_rule": card.keep_at_rule,
        "rows": look.read,
        "texts": len(trained.training.texts),
        "labels": len(trained.training.labels),
        "scores": {score.name: score.value for score in card.scores},
        "repeated": [repeat.rows for repeat in look.repeats],
        "several_labels": [{"rows": repeat.rows, "labels": repeat.labels} for repeat in look.torn],
        "few_texts": look.few,
        "alike_labels": look.alike,
        "leaked_test_rows": trained.leaks.rows if trained.leaks else [],
        "likely_wrong": [
            {"row": each.row, "given": each.given, "believed": each.believed, "doubt": each.doubt}
            for each in trained.suspects
        ],
    }
