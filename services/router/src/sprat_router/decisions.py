"""The router's decisions: which tasks of a text nobody serves, and which predictions are kept or escalated."""

from dataclasses import dataclass

from sprat.errors import Rejected
from sprat.model import DEFAULT_MODEL
from sprat.processing.handler import Received, origin_of
from sprat.registry.model_table import AnnouncedLabels, ModelTable
from sprat_contracts import (
    Declined,
    IntentOutput,
    LabelsOutput,
    Message,
    NerOutput,
    Output,
    Prediction,
    ReasonCode,
    TaskTable,
    TextSubmitted,
)
from sprat_contracts.kept import least_kept
from sprat_contracts.predictions import UNCHANGED, is_outside
from sprat_contracts.texts import unknown_names
from sprat_policy import IntentPolicy, Policy, TaskPolicy

CONFIDENT = "confident"
DECLINED = "declined"
LOW_CONFIDENCE = "low_confidence"
NO_SERVICE = "no_service"
OUT_OF_SCOPE = "out_of_scope"
UNCALIBRATED = "uncalibrated"
NO_SMALL_MODEL = "the task has no small model; a large one answers it"
UNKNOWN_LABEL = ReasonCode.UNKNOWN_LABEL.value


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a prediction, with its reasons."""

    kept: bool
    reasons: tuple[str, ...]
    """At least one; a Result shows the first."""
    threshold: float
    """The `keep_at` that was applied: that of the text's language or, for an answer without a label, a higher one of
    the model's card."""


def decide(
    prediction: Prediction, form: type[Output], policy: TaskPolicy, announced: AnnouncedLabels | None
) -> Decision:
    """Decide whether a specialist's prediction is kept or escalated.

    Args:
        prediction: what the specialist said.
        form: of the task's output.
        policy: of the task and the model that the text asks for.
        announced: the labels of that model, whether it is calibrated, and its threshold for answers without a label.
    """
    threshold = policy.keep_at_in(prediction.text_language)
    output = answer_of(form, prediction.output, prediction.declined)
    if output is None or prediction.confidence is None:
        return Decision(kept=False, reasons=(DECLINED,), threshold=threshold)
    if isinstance(output, IntentOutput | LabelsOutput) and _has_unknown_label(prediction, output, announced):
        return Decision(kept=False, reasons=(UNKNOWN_LABEL,), threshold=threshold)
    out_of_scope = is_outside(output)
    # A keep_at of 0 keeps everything that a model says.
    if out_of_scope and threshold > 0 and announced is not None and _is_of(prediction, announced):
        threshold = max(threshold, announced.keep_at_outside)
    reasons = []
    if out_of_scope and isinstance(policy, IntentPolicy) and policy.out_of_scope == "escalate":
        reasons.append(OUT_OF_SCOPE)
    by_model = prediction.model is None or prediction.model.stage != UNCHANGED
    if by_model and policy.uncalibrated == "escalate" and _is_uncalibrated(prediction, announced):
        reasons.append(UNCALIBRATED)
    # A keep_at of 1 keeps nothing that a model says.
    least = least_kept(threshold) if by_model else threshold
    if prediction.confidence < least:
        reasons.append(LOW_CONFIDENCE)
    if reasons:
        return Decision(kept=False, reasons=tuple(reasons), threshold=threshold)
    return Decision(kept=True, reasons=(OUT_OF_SCOPE if out_of_scope else CONFIDENT,), threshold=threshold)


def answer_of(form: type[Output], output: Output | None, declined: Declined | None) -> Output | None:
    """Return the output if it has the form of the task's.

    A declined record has no answer, whatever its output says. The wire distinguishes outputs only by their fields, so a
    valid record can hold the output of another task.
    """
    if declined is not None or not isinstance(output, form):
        return None
    return output


def labels_of(output: Output) -> frozenset[str]:
    """Return all labels that an output names."""
    match output:
        case IntentOutput():
            named = {each.label for each in output.alternatives}
            return frozenset(named if output.label is None else named | {output.label})
        case LabelsOutput():
            return frozenset({each.label for each in output.labels} | {each.label for each in output.alternatives})
        case NerOutput():
            return frozenset(each.label for each in output.entities)
        case _:
            return frozenset()


def _has_unknown_label(prediction: Prediction, output: Output, announced: AnnouncedLabels | None) -> bool:
    """Return whether a label is none that its model can answer with: its service has a defect, or is not its own.

    While two versions of a model run side by side, the labels of the other one are not known.
    """
    if announced is None or announced.labels is None:
        return False
    return _is_of(prediction, announced) and not labels_of(output) <= frozenset(announced.labels)


def _is_uncalibrated(prediction: Prediction, announced: AnnouncedLabels | None) -> bool:
    """Return whether the model that answered says that its confidence is no chance of being right.

    While two versions of a model run side by side, that is not known of the other one, and `keep_at` decides.
    """
    return announced is not None and not announced.calibrated and _is_of(prediction, announced)


def _is_of(prediction: Prediction, announced: AnnouncedLabels) -> bool:
    """Return whether a prediction is by the version that is announced."""
    return prediction.model is not None and prediction.model.version == announced.version


def unserved(
    text: TextSubmitted, received: Received[Message], models: ModelTable, tasks: TaskTable, policy: Policy
) -> list[Prediction]:
    """Return a declined prediction for each of the `tasks` that no model serves; specialists answer the others."""
    return [
        _declined_prediction(text, received, task, _unserved_detail(task, options.model, models, policy))
        for task, options in text.tasks.known_to(tasks).items()
        if models.served(task, options.model, received.appended_at) is None
    ]


def unknown_tasks(text: TextSubmitted, tasks: TaskTable) -> Rejected | None:
    """Return one rejection for all requested tasks that are not among `tasks`, or whose options cannot be read.

    None where there are none. It counts the unknown ones and quotes none: task names are the upstream's own words, and
    one may be a person's name.
    """
    unknown = text.tasks.unknown_to(tasks)
    known = text.tasks.known_to(tasks)
    unread = [name for name in text.tasks.unknown if name in tasks and name not in known]
    if not unknown and not unread:
        return None
    problems = [f"tasks.{name}: its options are no object as {{}}, or name no model" for name in unread]
    if unknown:
        problems.append(f"tasks: {unknown_names(unknown, tasks)}; known are {', '.join(tasks)}")
    code = ReasonCode.UNKNOWN_TASK if known else ReasonCode.NO_KNOWN_TASK
    return Rejected(code, "; ".join(problems))


def _declined_prediction(text: TextSubmitted, received: Received[Message], task: str, detail: str) -> Prediction:
    return Prediction(
        text_id=received.envelope.id,
        text_source=received.envelope.source,
        task=task,
        origin=origin_of(received),
        submitted=text,
        output=None,
        confidence=None,
        model=None,
        declined=Declined(code=ReasonCode.NO_SERVICE, detail=detail),
        text_signature=received.envelope.signature,
        warnings=received.warnings,
    )


def _unserved_detail(task: str, model: str, models: ModelTable, policy: Policy) -> str:
    """Return which model did not serve, and what to do.

    Every tenant may ask, and a name can say what another tenant is about. So one is named only to who nearly wrote it;
    `default` is everybody's.
    """
    names = [each.model for each in models.announced() if each.task == task]
    if not names and not policy.task(task).has_small_model:
        return NO_SMALL_MODEL
    if model in names:
        hint = "it was announced for later texts; send the text again"
    elif meant := next((name for name in names if _one_slip(name.lower(), model.lower())), None):
        hint = f"did you mean {meant}?"
    elif DEFAULT_MODEL in names:
        hint = f"no other has nearly that name; without `model`, {DEFAULT_MODEL} answers"
    elif names:
        hint = "no other has nearly that name"
    else:
        hint = f"no model for {task} is announced: is its service running?"
    return f"no model {task}/{model} served when the text arrived; {hint}"


def _one_slip(first: str, second: str) -> bool:
    """Return whether at most one letter is missing, too many or another, or two neighbours have changed places."""
    shorter, longer = sorted((first, second), key=len)
    pairs = enumerate(zip(shorter, longer, strict=False))
    same = next((place for place, (one, other) in pairs if one != other), len(shorter))
    left, right = shorter[same:], longer[same:]
    return left[1:] == right[1:] or left == right[1:] or left == right[1:2] + right[:1] + right[2:]
