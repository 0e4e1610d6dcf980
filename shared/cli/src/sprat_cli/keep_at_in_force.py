"""The `keep_at` in force for a model of labels, and what becomes of it once another version of the model is served."""

from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy
from sprat_cli.installation import how_to_restart
from sprat_cli.which_keep_at import CardKeepAt, KeepAtAdvice, keep_at_advice
from sprat_inference.card import Card
from sprat_policy import TaskFile, TaskPolicy, keep_at_location, load_policy


def in_force(task: str, name: str, file: TaskFile | None) -> tuple[TaskPolicy | None, str]:
    """Return the rules whose `keep_at` is in force, None where no policy is known, and the place of that keep_at.

    They are those of the task's file, or of the policy of SPRAT_POLICY.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        file: of the task; None for the task `intent`.

    Raises:
        UserError: the policy cannot be read.
    """
    named = None if name == DEFAULT_MODEL else name
    if file is not None:
        place = f"{'.'.join(keep_at_location(None, named))} in the file of the task {task}"
        return (file if named is None else file.of(named)), place
    policy = chosen_policy(None)
    rules = None if policy is None else load_policy(policy).task(task, name)
    return rules, f"{'.'.join(keep_at_location(task, named))} in {policy or 'your policy file'}"


def advice_for_next(
    task: str, name: str, file: TaskFile | None, card: Card, *, served_before: bool = False
) -> KeepAtAdvice | None:
    """Return what to do about the `keep_at` once a version is served; None where its own is in force already.

    Args:
        task: name of the task.
        name: of the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        card: of the version.
        served_before: whether it was served already, so that `sprat assess` may have shown for it what is in force.

    Raises:
        UserError: the policy cannot be read.
    """
    rules, place = in_force(task, name, file)
    now = None if rules is None else rules.keep_at
    return keep_at_advice(now, CardKeepAt.of(card), place, may_be_shown=served_before)


def keep_at_lines(advice: KeepAtAdvice | None, card: Card) -> list[str]:
    """Return what to do about the `keep_at` of a version that is served now, and when it holds.

    Args:
        advice: as :func:`advice_for_next` returns it.
        card: of that version.
    """
    if advice is None:
        return [f"keep_at {card.keep_at:.2f} holds already"]
    return [f"then {advice.said}", *([how_to_restart("router")] if advice.writes else [])]
