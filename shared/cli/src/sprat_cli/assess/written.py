"""Where the `keep_at` goes that `sprat assess` found: into the file with `--write`, else a line says where."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sprat_cli.assess.below_card import lower_than_card
from sprat_cli.assess.denial import DEFAULT_TENANT
from sprat_cli.assess.keep_at_target import KeepAtTarget
from sprat_cli.assess.not_below_card import HeldBack
from sprat_cli.assess.policy_file import KeepAtChange
from sprat_cli.which_keep_at import OF_CARD, CardKeepAt, FoundKeepAt, found_advice
from sprat_policy import KeepAtSource
from sprat_training.evaluation.routing import Assessment, ThresholdChoice
from sprat_training.record import TrainingRecord


def write_chosen(
    target: KeepAtTarget,
    policy: Path,
    choice: ThresholdChoice,
    held: HeldBack | None,
    assessment: Assessment,
    tenant: str,
    *,
    seen: bool,
) -> KeepAtChange | None:
    """Write the `keep_at` found, or what goes before it; return what was written.

    Args:
        target: where that of the model stands.
        policy: the policy file.
        choice: what was found.
        held: what goes before it.
        assessment: in which it was found.
        tenant: whose rules held.
        seen: whether the model was trained on texts of the file.
    """
    keep_at = choice.chosen.keep_at if held is None else held.to_write
    if keep_at is None:
        return None
    return target.write(policy, keep_at, _source(target.version, choice, held, assessment, tenant, seen=seen))


def _source(
    version: str,
    choice: ThresholdChoice,
    held: HeldBack | None,
    assessment: Assessment,
    tenant: str,
    *,
    seen: bool,
) -> KeepAtSource:
    """Return where a `keep_at` that is written comes from."""
    if held is not None:
        return KeepAtSource(version, but=OF_CARD)
    found, named = choice.recommended, None if tenant == DEFAULT_TENANT else tenant
    but = [
        *(["by --budget"] if found is None else [] if found.is_shown else ["provisional"]),
        *([] if assessment.assumed is None else [f"a plan by --frontier-accuracy {assessment.assumed:g}"]),
        *(["on texts of its training"] if seen else []),
    ]
    if found is None:
        return KeepAtSource(version, but=", ".join(but), tenant=named)
    return KeepAtSource(version, found.accuracy, ", ".join(but), not assessment.small_only, named)


def said_of_written(
    change: KeepAtChange | None,
    choice: ThresholdChoice | None,
    held: HeldBack | None,
    assessment: Assessment,
    of_card: float,
    record: TrainingRecord | None,
) -> list[str]:
    """Return what is said of what was written, or of why nothing was."""
    if change is None or choice is None:
        return [] if held is None or held.why_nothing is None else [held.why_nothing]
    if held is not None:
        return [str(replace(change, why=held.why_card))]
    found = choice.recommended
    is_shown = found is None or found.is_shown
    why = [] if is_shown else ["provisional: assess again with more texts"]
    if assessment.assumed is not None:
        why.append(f"it rests on --frontier-accuracy {assessment.assumed:g}, a plan until the frontier is measured")
    said = str(replace(change, why="; ".join(why)))
    return [said, *lower_than_card(assessment, choice, of_card, record)]


def where_to_write(
    target: KeepAtTarget,
    policy: Path | None,
    choice: ThresholdChoice | None,
    first: HeldBack | None,
    assessment: Assessment,
    of_card: CardKeepAt,
    named: Mapping[str, float],
    source: KeepAtSource | None,
    *,
    files: int,
) -> list[str]:
    """Return which `keep_at` goes where and what writes it, or why none is written; nothing where none was found.

    Args:
        target: where that of the model stands.
        policy: the policy file; None: none is known.
        choice: what was found.
        first: what is said where that of the card goes before one that is not shown.
        assessment: in which it was found.
        of_card: the `keep_at` of the card.
        named: the thresholds shown besides, by whose they are.
        source: what stands behind the one that is written for this model.
        files: how many were assessed together.
    """
    if choice is None:
        return []
    place, how = target.place_and_how(policy)
    if first is not None:
        writes = first.to_write
        return [
            f"with --write, {first.why_nothing}"
            if writes is None
            else f"to write {writes:.2f}, the card's, under {place}, {how}"
        ]
    recommended, not_shown = choice.recommended, None
    if recommended is None:
        not_shown = "the budget chose it"
    elif not recommended.is_shown:
        not_shown = "it is provisional"
    one_sample = assessment.small_only and files == 1
    accuracy = recommended.accuracy if recommended is not None and one_sample else None
    found = FoundKeepAt(choice.chosen.keep_at, not_shown, assessment.assumed, accuracy)
    return [found_advice(found, named.get("task", named.get("policy")), of_card, place, how, source)]
