"""What reviews say of a served version, for a terminal and for machines."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sprat.base.words import counted
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, UNANSWERED, WRONG
from sprat_contracts.thresholds import NONE, SOME, Step, thousandths
from sprat_training.evaluation.reviewed import ReviewEvaluation
from sprat_training.thresholds.wording import paragraph

_AS_WRONG: Final = {UNANSWERED: "unanswered", CANNOT_TELL: "cannot tell", "disputed": "disputed"}
_NAMES: Final[dict[str, str]] = {SOME: "answers that name something", NONE: "answers that name nothing"}


def review_lines(found: ReviewEvaluation) -> Iterator[str]:
    """Yield what was found, the most important first."""
    draws, card = found.draws, found.model.card
    goal = f"{100 * found.goal.accuracy:.3g} %"
    period = f"{_moment(draws.period.since)} to {_moment(draws.period.until)}"
    steps = dict(certified_steps(found))
    if found.is_certified:
        yield f"{found.model.name}, version {card.version}: {goal} certified from reviews, {period}"
        for says, step in steps.items():
            yield f"  {_NAMES[says]}: from {step.threshold:.3f} on, {step.right:,.0f} of {step.kept:,.0f} right"
    else:
        yield f"{found.model.name}, version {card.version}: {goal} is not certified from reviews, {period}"
    as_wrong = ", ".join(f"{draws.verdicts[code]:,} {name}" for code, name in _AS_WRONG.items() if draws.verdicts[code])
    said = f"{draws.verdicts[RIGHT]:,} right, {draws.verdicts[WRONG]:,} wrong"
    yield f"{counted(len(draws.rows), 'draw')}: {said}" + (f"; and as wrong: {as_wrong}" if as_wrong else "")
    yield f"of a share of {100 * draws.share:.3g} %, the smallest of the period; served from {draws.served:.3f} on"
    if draws.full or draws.above:
        yield f"left out: {draws.full:,} of hours in which a router drew no more, {draws.above:,} with a higher hash"
    yield from found.notes
    if found.is_certified and found.thresholds is not None and found.thresholds.certificate is not None:
        yield paragraph(found.thresholds.certificate, found.goal.accuracy)


def certified_steps(found: ReviewEvaluation) -> Iterator[tuple[str, Step]]:
    """Yield the certified step of the goal, by what answers say."""
    if not found.is_certified or found.thresholds is None:
        return
    for says, goal in ((SOME, found.goal.of(SOME)), (NONE, found.goal.of(NONE))):
        cell = found.thresholds.cell(None, says)
        steps = () if cell is None or goal > 1 else cell.certified
        step = next((each for each in steps if thousandths(each.accuracy) == thousandths(goal)), None)
        if step is not None:
            yield says, step


def review_json(found: ReviewEvaluation, written: str | None) -> dict[str, Any]:
    """Return what was found, for machines."""
    draws = found.draws
    return {
        "type": "reviewed",
        "task": found.model.task,
        "model": found.model.name,
        "version": found.model.card.version,
        "goal": found.goal.accuracy,
        "since": draws.period.since,
        "until": draws.period.until,
        "draws": len(draws.rows),
        "verdicts": dict(draws.verdicts),
        "left_out": {"full": draws.full, "above": draws.above},
        "share": draws.share,
        "served": draws.served,
        "certified": {says: step.model_dump(mode="json") for says, step in certified_steps(found)},
        "notes": list(found.notes),
        "thresholds": None if found.thresholds is None else found.thresholds.model_dump(mode="json"),
        "written": written,
    }


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"
