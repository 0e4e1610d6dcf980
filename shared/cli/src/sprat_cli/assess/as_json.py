"""What `sprat assess --json` says."""

from pathlib import Path
from typing import Any

from sprat_cli.assess.answers import AnsweredByWords
from sprat_cli.assess.new_texts import NewTexts
from sprat_cli.assess.policy_file import KeepAtChange
from sprat_training.evaluation.metrics import Interval
from sprat_training.evaluation.routing import Assessment, StrategyResult, ThresholdChoice
from sprat_training.keep_at import Recommendation
from sprat_training.record import SeenRows


def assessment_json(
    assessment: Assessment,
    by_words: AnsweredByWords | None,
    choice: ThresholdChoice | None,
    page: Path,
    change: KeepAtChange | None,
    seen: SeenRows | None,
    texts: NewTexts,
    beside_held_out: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the fields of `--json` that each assessment has."""
    return {
        "type": "assessed",
        "texts": assessment.texts,
        "trained_on_rows": [] if seen is None else seen.rows,
        "trained_on": [] if seen is None else seen.as_json,
        **texts.as_json,
        "costs_known": assessment.costs_known,
        "frontier_denied": assessment.denied,
        "small": _result_json(assessment.small, assessment),
        "by_words": None
        if by_words is None
        else {"share": round(by_words.share, 4), "accuracy": interval_json(by_words.right)},
        "beside_held_out": beside_held_out,
        "frontier": None if assessment.unknown else _result_json(assessment.frontier, assessment),
        "routed": [
            {
                "keep_at": each.keep_at,
                **_result_json(each.result, assessment),
                "random_accuracy": None if assessment.unknown else round(each.random_accuracy, 4),
            }
            for each in assessment.routed
        ],
        "named": [
            {"of": who, "keep_at": each.keep_at, **_result_json(each.result, assessment)}
            for who, each in assessment.named.items()
        ],
        "keep_at": choice.chosen.keep_at if choice else None,
        "recommended": None if choice is None or choice.recommended is None else _recommended_json(choice.recommended),
        "report": str(page),
        "written": None if change is None else change.as_json,
    }


def _recommended_json(found: Recommendation) -> dict[str, Any]:
    return {
        "accuracy": found.accuracy,
        "is_shown": found.is_shown,
        "shown": round(found.at.shown, 4),
        "texts_needed": found.texts_needed,
        "least_reached": None
        if found.least is None
        else {
            "keep_at": found.least.keep_at,
            "shown": round(found.least.shown, 4),
            "texts_needed": found.least.texts_needed(found.accuracy),
        },
    }


def _result_json(result: StrategyResult, assessment: Assessment) -> dict[str, Any]:
    """Return it with null for what would need the answers of a frontier of which nothing is known."""
    euros, known = result.eur_per_million, not (assessment.unknown and result.escalated)
    return {
        "escalated": round(result.escalated, 4),
        "accuracy": interval_json(result.accuracy) if known else None,
        "right_of_kept": None if result.right_of_kept is None else interval_json(result.right_of_kept),
        "eur_per_million": [round(each, 2) for each in (euros.value, euros.low, euros.high)] if known else None,
    }


def interval_json(share: Interval) -> list[float]:
    """Return a share and the ends of its interval, rounded."""
    return [round(each, 4) for each in (share.value, share.low, share.high)]
