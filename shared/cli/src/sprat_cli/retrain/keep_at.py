"""Which `keep_at` to write for a new version once it replaces the served one."""

from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy
from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.which_keep_at import CardKeepAt, KeepAtAdvice, keep_at_advice
from sprat_inference.card import Card
from sprat_policy import TaskFile, TaskPolicy, keep_at_location, load_policy


def advice_for_new(asked: AskedModel, file: TaskFile | None, new: Card) -> KeepAtAdvice | None:
    """Return what to do about the `keep_at` of a new version; None where its own is in force already.

    What is in force is that of the task's file, or of the policy of SPRAT_POLICY; without one it is not known.

    Args:
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        new: the card of the new version.

    Raises:
        UserError: the policy cannot be read.
    """
    policy, name = chosen_policy(None), None if asked.name == DEFAULT_MODEL else asked.name
    if file is not None:
        rules: TaskPolicy | None = file if name is None else file.of(name)
        place = f"{'.'.join(keep_at_location(None, name))} in the file of the task {asked.task}"
    else:
        rules = None if policy is None else load_policy(policy).task(asked.task, asked.name)
        place = f"{'.'.join(keep_at_location(asked.task, name))} in {policy or 'your policy file'}"
    return keep_at_advice(None if rules is None else rules.keep_at, CardKeepAt.of(new), place)
