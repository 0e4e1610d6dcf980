"""The report of a training as one HTML file that needs nothing else."""

from typing import Final

from sprat_training.config import Trained
from sprat_training.figures import TrainingFigures
from sprat_training.findings import excerpt, found, serving, torn_of
from sprat_training.reporting.page import Page
from sprat_training.reporting.plot import Plot, Scale

_PAIRS: Final = 30
_SUSPECTS: Final = 300
_TORN: Final = 50
_FEWEST: Final = 12
"""Texts in a bin or above a threshold; fewer say nothing and are drawn faint or not at all."""


def report(trained: Trained, *, show_texts: bool) -> str:
    """Give the file's content."""
    card, wish = trained.card, trained.wish
    page = Page(f"intent/{card.name}, trained on {wish.file.name}")
    page.say(
        f"Version {card.version}; {len(trained.training.texts):,} texts, {len(trained.training.labels)} labels; "
        f"made of {', '.join(work.name for work in card.made_of)}; licence {card.licence}."
    )
    _summary(page, trained)
    _data(page, trained, show_texts=show_texts)
    figures = trained.test or trained.figures
    page.heading("What is taken for what")
    page.table(
        ("label", "taken for", "texts", "of"),
        [(each.given, each.believed, f"{each.texts:,}", f"{each.of:,}") for each in figures.pairs[:_PAIRS]],
        numbers=(2, 3),
    )
    page.heading("Is the confidence true?")
    page.picture(
        reliability(figures).svg(),
        "Each dot is the answers of one bin of confidence, as large as the bin is full; on the line, as many are right "
        "as the confidence says. Below: how the traffic spreads.",
    )
    page.heading("Accuracy against escalation")
    page.picture(
        escalation(figures, card.keep_at).svg(),
        "The more of the traffic is escalated, the more of what is kept is right. The band is the 95 % interval.",
    )
    page.heading("Each label")
    page.table(
        ("label", "texts", "found", "right where given"),
        [(each.label, f"{each.texts:,}", f"{each.recall:.1%}", f"{each.precision:.1%}") for each in figures.labels],
        numbers=(1, 2, 3),
    )
    page.heading("What it cannot do")
    page.listed(card.limits)
    return page.html()


def _summary(page: Page, trained: Trained) -> None:
    card = trained.card
    page.heading("How good it is")
    head = ["", "texts", "right label (95 % interval)", "macro F1", "kept", "right of those kept", "calibration error"]
    rows = []
    held = ("held-out folds", trained.figures)
    for name, figures in (held, *([("test file", trained.test)] if trained.test else [])):
        kept = figures.at(card.keep_at)
        rows.append(
            (
                name,
                f"{figures.texts:,}",
                str(figures.accuracy),
                f"{figures.macro_f1:.1%}",
                f"{kept.share:.1%}",
                str(kept.right),
                f"{figures.calibration_error:.3f}",
            )
        )
    page.table(head, rows, numbers=(1,))
    recall = trained.figures.outside_recall
    outside = "" if recall is None else f" Of the texts outside, {recall:.1%} are seen to be so."
    page.say(f"Recommended: keep_at {card.keep_at:.2f}, {card.keep_at_rule}.{outside}")
    page.say(f"Calibrated on {card.calibration.fitted_on}.")
    page.command(serving(trained))


def _data(page: Page, trained: Trained, *, show_texts: bool) -> None:
    page.heading("What was found in the data")
    page.listed(found(trained) or ["Nothing to complain of."])
    if trained.look.torn:
        page.say("Texts with several labels:")
        page.listed([torn_of(repeat) for repeat in trained.look.torn[:_TORN]])
    if not trained.suspects:
        return
    page.say(
        "Labels that are likely wrong, the least believable first: a head that had not seen the row believes in "
        "another label at least as much as it does, on average, in rows that have it."
    )
    more = ("text",) if show_texts else ()
    page.table(
        ("row", "label given", "label believed", "doubt", *more),
        [
            (
                f"{each.row}",
                each.given,
                each.believed,
                f"{each.doubt:.2f}",
                *((excerpt(trained, each.place),) if show_texts else ()),
            )
            for each in trained.suspects[:_SUSPECTS]
        ],
        numbers=(0, 3),
    )


def reliability(figures: TrainingFigures) -> Plot:
    """Draw confidence against truth."""
    plot = Plot(Scale("confidence"), Scale("right"), "Reliability: share right against confidence")
    width = 1 / 15
    fullest = max(each.weight for each in figures.bins)
    for each in figures.bins:
        left = min(int(each.stated / width), 14) * width
        plot.bar(left, left + width, 0.25 * each.weight / fullest, "faint")
    plot.line([(0, 0), (1, 1)], "faint", "as stated")
    for each in figures.bins:
        kind = "accent" if each.texts >= _FEWEST else "faint"
        plot.dot((each.stated, each.right), kind, radius=3 + 9 * (each.weight / fullest) ** 0.5)
    return plot


def escalation(figures: TrainingFigures, keep_at: float) -> Plot:
    """Draw what of the kept is right against what is escalated."""
    curve = [kept for kept in figures.curve if kept.share * figures.texts >= _FEWEST]
    low = min((int(kept.right.low * 20) / 20 for kept in curve), default=0.0)
    plot = Plot(Scale("escalated"), Scale("right of those kept", min(low, 0.95)), "Accuracy against escalation")
    plot.band(
        [(1 - kept.share, kept.right.low) for kept in curve],
        [(1 - kept.share, kept.right.high) for kept in curve],
        "accent",
    )
    plot.line([(1 - kept.share, kept.right.value) for kept in curve], "accent")
    chosen = figures.at(keep_at)
    if chosen.share:
        plot.upright(1 - chosen.share, f"keep_at {keep_at:.2f}")
        plot.dot((1 - chosen.share, chosen.right.value), "warm")
    return plot
