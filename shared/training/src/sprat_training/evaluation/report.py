"""The report of an assessment: what each way of dividing the work gives, as pictures and a table."""

from collections.abc import Callable, Sequence
from typing import Final

from sprat_training.evaluation.intervals import Interval
from sprat_training.evaluation.strategies import Assessment, Outcome, Routed
from sprat_training.evaluation.thresholds import ThresholdChoice
from sprat_training.reporting.page import Page
from sprat_training.reporting.plot import Plot, Scale

Across = Callable[[Outcome], float]

_TABLE: Final = tuple(step / 20 for step in range(21))


def report(assessment: Assessment, title: str, said: Sequence[str], choice: ThresholdChoice | None) -> str:
    """Give the HTML file.

    Args:
        assessment: what was computed.
        title: of the page.
        said: sentences on where the numbers come from.
        choice: the threshold that was asked for.
    """
    page = Page(title)
    page.listed(said)
    if choice is not None:
        page.heading("Recommended")
        page.say(sentence(choice))
    page.heading("Accuracy against the share escalated")
    page.picture(
        against_share(assessment, choice).svg(),
        "A router that knew nothing would lie on the straight line between the small model and the frontier. "
        "The band is the 95 % interval, by drawing the texts anew.",
    )
    if assessment.costs_known:
        page.heading("Accuracy against cost")
        page.picture(against_cost(assessment, choice).svg(), "Euros for a million texts, those kept among them.")
    page.heading("In numbers")
    rows = [
        ("the small model alone", *_cells(assessment.small), ""),
        *(
            (f"keep_at {at:.2f}", *_cells(assessment.at(at).outcome), f"{assessment.at(at).random_accuracy:.1%}")
            for at in _TABLE
        ),
        ("the frontier alone", *_cells(assessment.frontier), ""),
    ]
    head = ("", "escalated", "right (95 % interval)", "EUR for a million", "at random, as many escalated")
    page.table(head, rows, numbers=(1, 3, 4))
    return page.html()


def sentence(choice: ThresholdChoice) -> str:
    """Say what was chosen; what it costs is left out where that is not known."""
    outcome = choice.routed.outcome
    said = f"keep_at {choice.routed.keep_at:.2f}: {outcome.accuracy} right, {outcome.escalated:.1%} escalated"
    if outcome.eur_per_million.high > 0 or not outcome.escalated:
        said += f", {euros(outcome.eur_per_million)} EUR for a million texts"
    if choice.sure is None:
        return said
    return f"{said}. To be sure of it beyond these texts: keep_at {choice.sure.keep_at:.2f}"


def euros(interval: Interval) -> str:
    """Give an amount of euros with its interval."""
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def against_share(assessment: Assessment, choice: ThresholdChoice | None) -> Plot:
    """Draw accuracy against the share escalated."""
    plot = Plot(Scale("escalated"), _accuracies(assessment), "Accuracy against the share escalated", legend_right=True)
    _curve(plot, assessment, lambda outcome: outcome.escalated, choice)
    return plot


def against_cost(assessment: Assessment, choice: ThresholdChoice | None) -> Plot:
    """Draw accuracy against cost."""
    most = max(assessment.frontier.eur_per_million.value, 1e-9)
    across = Scale(
        "EUR for a million texts", 0.0, most, lambda value: f"{value:,.0f}" if most >= 10 else f"{value:.2f}"
    )
    plot = Plot(across, _accuracies(assessment), "Accuracy against cost", legend_right=True)
    _curve(plot, assessment, lambda outcome: outcome.eur_per_million.value, choice)
    return plot


def _curve(plot: Plot, assessment: Assessment, across: Across, choice: ThresholdChoice | None) -> None:
    small, frontier = assessment.small, assessment.frontier
    routed = [each.outcome for each in assessment.routed]
    plot.band(
        [(across(each), each.accuracy.low) for each in routed],
        [(across(each), each.accuracy.high) for each in routed],
        "accent",
    )
    ends = [(across(each), each.accuracy.value) for each in (small, frontier)]
    plot.line(ends, "faint", "escalated at random")
    plot.line([(across(each), each.accuracy.value) for each in routed], "accent", "routed by confidence")
    plot.dot(ends[0], "ink", "the small model alone, the frontier alone")
    plot.dot(ends[1], "ink")
    if choice is not None:
        plot.upright(across(choice.routed.outcome), f"keep_at {choice.routed.keep_at:.2f}")
        plot.dot((across(choice.routed.outcome), choice.routed.outcome.accuracy.value), "warm")


def _accuracies(assessment: Assessment) -> Scale:
    lows = [assessment.small, assessment.frontier, *(each.outcome for each in assessment.routed)]
    low = min(each.accuracy.low for each in lows)
    return Scale("right", max(0.0, int(low * 20) / 20 - 0.05), 1.0)


def _cells(outcome: Outcome) -> tuple[str, str, str]:
    return f"{outcome.escalated:.1%}", str(outcome.accuracy), euros(outcome.eur_per_million)


def rows(routed: Sequence[Routed]) -> list[tuple[str, ...]]:
    """Give a row of cells for each threshold, for a terminal."""
    return [
        (
            f"keep_at {each.keep_at:.2f}",
            f"{each.outcome.escalated:.1%}",
            str(each.outcome.accuracy),
            f"{each.outcome.eur_per_million.value:.2f}",
            f"{each.random_accuracy:.1%}",
        )
        for each in routed
    ]
