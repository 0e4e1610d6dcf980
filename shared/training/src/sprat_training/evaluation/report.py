"""The report of an assessment as one HTML file: each way to divide the work, in pictures and in a table."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sprat_training.evaluation.metrics import Interval
from sprat_training.evaluation.routing import Assessment, StrategyResult, ThresholdChoice, ThresholdResult
from sprat_training.html_report import HtmlPage, Plot, Scale
from sprat_training.keep_at import LEAST_KEEP_AT

_TABLE_STEPS: Final = tuple(step / 20 for step in range(21))


def assessment_html(assessment: Assessment, title: str, notes: Sequence[str], choice: ThresholdChoice | None) -> str:
    """Return the HTML file.

    Args:
        assessment: what was computed.
        title: of the page.
        notes: sentences on the source of the numbers.
        choice: the recommended threshold, where the user asked for one.
    """
    page = HtmlPage(title)
    page.add_list(notes)
    if choice is not None:
        page.add_heading("Recommended")
        page.add_paragraph(recommendation(choice))
    if not assessment.denied:
        page.add_heading("Accuracy against the share escalated")
        page.add_picture(
            accuracy_against_share(assessment, choice).svg(),
            "A router that escalates at random lies on the straight line between the small model and the frontier. "
            "The band is the 95 % interval (Wilson).",
        )
    if assessment.costs_known:
        page.add_heading("Accuracy against cost")
        page.add_picture(
            accuracy_against_cost(assessment, choice).svg(), "Euros per million texts, kept ones included."
        )
    page.add_heading("In numbers")
    rows = [
        ("the small model alone", *_cells(assessment.small), ""),
        *(
            (name, *_cells(each.result), f"{each.random_accuracy:.1%}")
            for name, each in distinct(assessment, _TABLE_STEPS)
        ),
        *([] if assessment.denied else [("the frontier alone", *_cells(assessment.frontier), "")]),
    ]
    head = ("", "escalated", "right (95 % interval)", "right of those kept", "EUR per million")
    page.add_table((*head, "right, as many escalated at random"), rows, numbers=(1, 4, 5))
    return page.html()


def recommendation(choice: ThresholdChoice) -> str:
    """Return the sentence on the recommended threshold, without its cost where no costs are known."""
    result = choice.chosen.result
    kept = f"{shown(result.right_of_kept)} right of those kept"
    sentence = f"keep_at {choice.chosen.keep_at:.2f}: {result.accuracy} right, {result.escalated:.1%} escalated, {kept}"
    if result.eur_per_million.high > 0 or not result.escalated:
        sentence += f", {_euros(result.eur_per_million)} EUR per million texts"
    if choice.recommended is None:
        return sentence
    said = str(choice.recommended)
    if choice.recommended.is_shown:
        said = f"the least from {LEAST_KEEP_AT:.2f} on at which {choice.recommended.accuracy:.1%} right is shown {said}"
    return f"{sentence}. {said[0].upper()}{said[1:]}"


def shown(share: Interval | None) -> str:
    """Return a share with its interval; a dash where there is none."""
    return "–" if share is None else str(share)


def terminal_rows(assessment: Assessment, steps: Iterable[float]) -> list[tuple[str, ...]]:
    """Return a row of cells for each distinct strategy among these thresholds, for a terminal."""
    return [
        (
            name,
            f"{each.result.escalated:.1%}",
            str(each.result.accuracy),
            shown(each.result.right_of_kept),
            f"{each.result.eur_per_million.value:.2f}",
            f"{each.random_accuracy:.1%}",
        )
        for name, each in distinct(assessment, steps)
    ]


def distinct(assessment: Assessment, steps: Iterable[float]) -> list[tuple[str, ThresholdResult]]:
    """Return a name and the result of each strategy: thresholds that escalate the same texts are one.

    It has the name of its highest threshold, which is the safest for other texts. Those that escalate nothing, or
    everything, are the small model and the frontier alone, and are left out.
    """
    groups: list[list[ThresholdResult]] = []
    for each in map(assessment.at, sorted(steps)):
        if 0 < each.result.escalated < 1:
            # A higher threshold escalates the same texts and more, so equal shares are equal texts.
            if groups and groups[-1][0].result.escalated == each.result.escalated:
                groups[-1].append(each)
            else:
                groups.append([each])
    return [
        (f"keep_at {last.keep_at:.2f}" + ("" if first is last else f" (or from {first.keep_at:.2f})"), last)
        for first, last in ((group[0], group[-1]) for group in groups)
    ]


def accuracy_against_share(assessment: Assessment, choice: ThresholdChoice | None) -> Plot:
    """Draw accuracy against the share escalated."""
    x, y = Scale("escalated"), _accuracy_scale(assessment)
    plot = Plot(x, y, "Accuracy against the share escalated", legend_right=True)
    _draw(plot, assessment, lambda result: result.escalated, choice)
    return plot


def accuracy_against_cost(assessment: Assessment, choice: ThresholdChoice | None) -> Plot:
    """Draw accuracy against cost."""
    most = max(assessment.frontier.eur_per_million.value, 1e-9)
    x = Scale("EUR per million texts", 0.0, most, lambda value: f"{value:,.0f}" if most >= 10 else f"{value:.2f}")
    plot = Plot(x, _accuracy_scale(assessment), "Accuracy against cost", legend_right=True)
    _draw(plot, assessment, lambda result: result.eur_per_million.value, choice)
    return plot


def _draw(
    plot: Plot, assessment: Assessment, x_of: Callable[[StrategyResult], float], choice: ThresholdChoice | None
) -> None:
    routed = [each.result for each in assessment.routed]
    plot.add_band(
        [(x_of(each), each.accuracy.low) for each in routed],
        [(x_of(each), each.accuracy.high) for each in routed],
        "accent",
    )
    ends = [(x_of(each), each.accuracy.value) for each in (assessment.small, assessment.frontier)]
    plot.add_line(ends, "faint", "escalated at random")
    plot.add_line([(x_of(each), each.accuracy.value) for each in routed], "accent", "routed by confidence")
    plot.add_dot(ends[0], "ink", "the small model alone, the frontier alone")
    plot.add_dot(ends[1], "ink")
    if choice is not None:
        result = choice.chosen.result
        plot.add_marker(x_of(result), f"keep_at {choice.chosen.keep_at:.2f}")
        plot.add_dot((x_of(result), result.accuracy.value), "warm")


def _accuracy_scale(assessment: Assessment) -> Scale:
    results = [assessment.small, assessment.frontier, *(each.result for each in assessment.routed)]
    low = min(each.accuracy.low for each in results)
    return Scale("right", max(0.0, int(low * 20) / 20 - 0.05), 1.0)


def _cells(result: StrategyResult) -> tuple[str, str, str, str]:
    return (
        f"{result.escalated:.1%}",
        str(result.accuracy),
        shown(result.right_of_kept),
        _euros(result.eur_per_million),
    )


def _euros(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"
