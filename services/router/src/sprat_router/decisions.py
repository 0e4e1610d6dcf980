"""Keep or escalate: what the policy makes of a prediction."""

from dataclasses import dataclass

from sprat.policy import IntentPolicy, TaskPolicy
from sprat_contracts import OUTPUTS, Declined, IntentOutput, Output, Prediction

CONFIDENT = "confident"
DECLINED = "declined"
LOW_CONFIDENCE = "low_confidence"
NO_SERVICE = "no_service"
OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the router decides on a prediction, and why."""

    kept: bool
    reasons: tuple[str, ...]
    """At least one; the first is the one that a Result shows."""
    threshold: float
    """The `keep_at` that held."""


def decide(prediction: Prediction, policy: TaskPolicy) -> Decision:
    """Decide on a prediction of a specialist."""
    output = answer_of(prediction.task, prediction.output, prediction.declined)
    if output is None or prediction.confidence is None:
        return Decision(kept=False, reasons=(DECLINED,), threshold=policy.keep_at)
    out_of_scope = isinstance(output, IntentOutput) and output.label is None
    reasons = []
    if out_of_scope and isinstance(policy, IntentPolicy) and policy.out_of_scope == "escalate":
        reasons.append(OUT_OF_SCOPE)
    if prediction.confidence < policy.keep_at:
        reasons.append(LOW_CONFIDENCE)
    if reasons:
        return Decision(kept=False, reasons=tuple(reasons), threshold=policy.keep_at)
    return Decision(kept=True, reasons=(OUT_OF_SCOPE if out_of_scope else CONFIDENT,), threshold=policy.keep_at)


def answer_of(task: str, output: Output | None, declined: Declined | None) -> Output | None:
    """Give the output if it answers the task.

    Whoever declines has not answered, whatever else stands there; and the wire tells outputs apart by their fields
    alone, so one of another task can stand in a record that is valid.
    """
    if declined is not None or not isinstance(output, OUTPUTS[task]):
        return None
    return output
