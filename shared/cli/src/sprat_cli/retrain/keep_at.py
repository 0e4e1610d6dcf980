"""Which `keep_at` holds for a new version once it replaces the served one, and whether to write another."""

from dataclasses import dataclass

from sprat.model import DEFAULT_MODEL
from sprat_cli.chosen_policy import chosen_policy
from sprat_cli.retrain.corrections import AskedModel
from sprat_inference.card import Card
from sprat_policy import TaskFile, TaskPolicy, keep_at_location, load_policy
from sprat_training.keep_at import PROVISIONAL, lowers_unshown


@dataclass(frozen=True, slots=True)
class KeepAtAdvice:
    """What to do about the `keep_at` of a new version."""

    said: str
    """As "write in FILE: keep_at: 0.80 (now 0.75)", or "keep 0.83 …"."""
    writes: bool
    """Whether something is to be written; else what holds stays."""


def keep_at_advice(asked: AskedModel, file: TaskFile | None, served: Card, new: Card) -> KeepAtAdvice | None:
    """Return what to do about the `keep_at` of a new version; None where it is known to hold already.

    It is compared with that of the task's file or of the policy of SPRAT_POLICY; where neither is known, with that of
    the served version's card. A provisional one does not lower it: the rule of `sprat assess --write`.

    Args:
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.
        served: the card of the served version.
        new: the card of the new one.

    Raises:
        UserError: the policy cannot be read.
    """
    policy, name = chosen_policy(None), None if asked.name == DEFAULT_MODEL else asked.name
    if file is not None:
        rules: TaskPolicy | None = file if name is None else file.of(name)
        where = f"the file of the task {asked.task}"
    else:
        rules = None if policy is None else load_policy(policy).task(asked.task, asked.name)
        where = f"{policy or 'your policy file'}, under {'.'.join(keep_at_location(asked.task, name)[:-1])}"
    now = served.keep_at if rules is None else rules.keep_at
    if rules is not None and f"{now:.2f}" == f"{new.keep_at:.2f}":
        return None
    if lowers_unshown(new.keep_at, now, is_shown=PROVISIONAL not in new.keep_at_rule):
        holds = ", that of the card of the served version," if rules is None else ""
        until = f"until `sprat assess` shows a lower one: {new.keep_at:.2f} is provisional"
        return KeepAtAdvice(f"keep {now:.2f}{holds} in {where}, {until}", writes=False)
    before = f"the card of the served version: {now:.2f}" if rules is None else f"now {now:.2f}"
    return KeepAtAdvice(f"write in {where}: keep_at: {new.keep_at:.2f} ({before})", writes=True)
