"""The report of an assessment as one HTML file: each way to divide the work, in pictures and in a table."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from sprat_training.evaluation.metrics import Interval
from sprat_training.evaluation.routing import Assessment, StrategyResult, ThresholdChoice, ThresholdResult
from sprat_training.html_report import HtmlPage, Plot, Scale
from sprat_training.keep_at import LEAST_KEEP_AT, WITHIN_REACH

_TABLE_STEPS: Final = tuple(step / 20 for step in range(21))
_BOUNDS: Final = (
    "(In brackets: what the share lies between, with 95 % confidence. Shown: what it is at least, with 95 % "
    "confidence: a little more than the lower end in brackets.)"
)


def assessment_html(
    assessment: Assessment,
    title: str,
    notes: Sequence[str],
    choice: ThresholdChoice | None,
    caution: str | None = None,
) -> str:
    """Return the HTML file.

    Args:
        assessment: what was computed.
        title: of the page.
        notes: sentences on the source of the numbers.
        choice: the threshold that was found, where the user asked for one.
        caution: why it is not recommended; None where it is.
    """
    page = HtmlPage(title)
    page.add_list(notes)
    if choice is not None:
        page.add_heading("Recommended" if caution is None else "Found, and not recommended")
        for paragraph in about_choice(assessment, choice, caution):
            page.add_paragraph(paragraph)
    if not assessment.small_only:
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
    steps = {*_TABLE_STEPS, *(choice.named_keep_ats if choice else ())}
    head, *rows = strategy_table(assessment, steps, ("the small model alone", "the frontier alone"))
    page.add_table(head, rows, numbers=(1,) if assessment.small_only else (1, 4, 5))
    return page.html()


def about_choice(assessment: Assessment, choice: ThresholdChoice, caution: str | None) -> list[str]:
    """Return what is said of the threshold that was found, in the report and on the terminal.

    Args:
        assessment: in which it was found.
        choice: what was found.
        caution: why it is not recommended; None where it is.
    """
    lines = (recommendation(assessment, choice), why_not_less(assessment, choice), caution)
    return [each for each in lines if each is not None]


def recommendation(assessment: Assessment, choice: ThresholdChoice) -> str:
    """Return the sentence on the recommended threshold, without its cost where no costs are known."""
    result = choice.chosen.result
    kept = f"{shown(result.right_of_kept)} right of those kept"
    right = "" if assessment.unknown else f"{result.accuracy} right, "
    sent = "degraded" if assessment.denied else "escalated"
    sentence = f"keep_at {choice.chosen.keep_at:.2f}: {right}{result.escalated:.1%} {sent}, {kept}"
    if assessment.costs_known:
        sentence += f", {euros(result.eur_per_million)} EUR per million texts"
    if choice.recommended is None:
        return sentence
    said = str(choice.recommended)
    if choice.recommended.is_shown:
        said = f"the least from {LEAST_KEEP_AT:.2f} on at which {choice.recommended.accuracy:.1%} right is shown {said}"
    return f"{sentence}. {said[0].upper()}{said[1:]}{_if_assumed(assessment)}. {_BOUNDS}"


def _if_assumed(assessment: Assessment) -> str:
    """Return on what the shares rest besides the texts."""
    return "" if assessment.assumed is None else f", if {assessment.assumed:.1%} of the frontier's answers are right"


def why_not_less(assessment: Assessment, choice: ThresholdChoice) -> str | None:
    """Return why a lower threshold that reaches the accuracy on these texts was not taken, and what to do.

    None where there is none, or where the accuracy is shown.
    """
    found = choice.recommended
    if found is None or found.least is None:
        return None
    least, at, accuracy = found.least, found.at, f"{found.accuracy:.1%}"
    less, more = assessment.at(least.keep_at).result, choice.chosen.result
    kept = "kept " * assessment.small_only
    if at.shown > least.shown:
        rule = f"{at.keep_at:.2f} shows {_floor(at.shown)}, and the rule prefers what shows more"
    else:
        rule = "the rule takes none below the one that shows the most"
    texts = f"{least.texts:,.0f} {kept}texts"
    said = (
        f"Why not {least.keep_at:.2f}? It reaches {accuracy} on these texts ({least.share:.1%}), but {texts} show only "
        f"{_floor(least.shown)}. No keep_at shows {accuracy}; {rule}. "
        f"{at.keep_at:.2f} {_price(assessment, less, more)}."
    )
    needed = least.texts_needed(found.accuracy)
    ask = f"ask for what {least.keep_at:.2f} shows (--accuracy {math.floor(least.shown * 100) / 100:.2f})"
    enough = f"keep_at {least.keep_at:.2f} is enough"
    if needed is None or needed > WITHIN_REACH:
        return f"{said} Measuring with more texts will hardly show that {enough}: {ask}, or make the model better."
    more_texts = f"takes about {needed:,} {kept}texts, as often right"
    return f"{said} To show that {enough} {more_texts}: assess so many, or {ask}."


def _price(assessment: Assessment, less: StrategyResult, more: StrategyResult) -> str:
    """Return what the higher threshold costs, against the lower one."""
    if assessment.costs_known and not assessment.small_only and less.eur_per_million.value > 0:
        one, other = less.eur_per_million.value, more.eur_per_million.value
        return f"costs {other / one:.1f} times as much, {other:.2f} instead of {one:.2f} EUR per million texts"
    sent = "degrades" if assessment.denied else "escalates"
    return f"{sent} {more.escalated:.1%} instead of {less.escalated:.1%}"


def _floor(share: float) -> str:
    return f"{math.floor(share * 1000) / 1000:.1%}"


def shown(share: Interval | None) -> str:
    """Return a share with its interval; a dash where there is none."""
    return "–" if share is None else str(share)


def strategy_table(
    assessment: Assessment, steps: Iterable[float], alone: tuple[str, str], *, brief: bool = False
) -> list[tuple[str, ...]]:
    """Return a row of cells for each distinct strategy among these thresholds, the first row with the columns' names.

    Where the policy denies the frontier, what is not kept ends as a degraded answer: nothing of a frontier is shown.
    Where nothing is known of one, neither is how much is right of all.

    Args:
        assessment: what was computed.
        steps: thresholds; those of the card and of the policy are shown, too.
        alone: names for the rows of the small model and of the frontier.
        brief: for a terminal: costs without their intervals.
    """
    small_only = assessment.small_only
    results = [
        (alone[0], assessment.small, ""),
        *((name, each.result, f"{each.random_accuracy:.1%}") for name, each in distinct(assessment, steps)),
        *([] if small_only else [(alone[1], assessment.frontier, "")]),
    ]
    costs = ("EUR per million", "at random" if brief else "right, as many escalated at random")
    of_all = () if assessment.unknown else ("right (95 % interval)",)
    of_kept = f"right of those kept{' (95 % interval)' * assessment.unknown}"
    head = ("", "degraded" if assessment.denied else "escalated", *of_all, of_kept)
    rows = [
        (
            name,
            f"{each.escalated:.1%}",
            *(() if assessment.unknown else (str(each.accuracy),)),
            shown(each.right_of_kept),
            *(() if small_only else (euros(each.eur_per_million, brief=brief), at_random)),
        )
        for name, each, at_random in results
    ]
    return [(*head, *(() if small_only else costs)), *rows]


def distinct(assessment: Assessment, steps: Iterable[float]) -> list[tuple[str, ThresholdResult]]:
    """Return a name and the result of each strategy: thresholds that escalate the same texts are one.

    It has the name of its thresholds, and says which is that of the card or of the policy. Those that escalate nothing,
    or everything, are the small model and the frontier alone, and are left out unless they are one of these.
    """
    groups: list[list[ThresholdResult]] = []
    # A higher threshold escalates the same texts and more, so equal shares are equal texts.
    shown = [each for each in map(assessment.at, steps) if 0 < each.result.escalated < 1]
    for each in sorted([*shown, *assessment.named.values()], key=lambda each: each.keep_at):
        if groups and groups[-1][0].result.escalated == each.result.escalated:
            groups[-1].append(each)
        else:
            groups.append([each])
    return [(_named(group, assessment.named), group[-1]) for group in groups]


def _named(group: Sequence[ThresholdResult], named: Mapping[str, ThresholdResult]) -> str:
    """Return the thresholds of a strategy, and whose they are."""
    first, last = hundredths(group[0].keep_at), hundredths(group[-1].keep_at)
    of = [f"{who} {hundredths(each.keep_at)}" for who, each in named.items() if any(each is one for one in group)]
    span = f"keep_at {first}" if first == last else f"keep_at {first} to {last}"
    return span + (f" ({', '.join(of)})" if of else "")


def hundredths(keep_at: float) -> str:
    """Return a threshold with two places, or with more where it has more: a policy may say 0.725."""
    return f"{keep_at:.2f}" if round(keep_at, 2) == keep_at else f"{keep_at:.4g}"


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


def euros(amount: Interval, *, brief: bool = False) -> str:
    """Return an amount with its interval; without it where `brief` says so, or where each text costs the same."""
    value, low, high = (f"{each:.2f}" for each in (amount.value, amount.low, amount.high))
    return value if brief or low == high else f"{value} ({low} to {high})"
