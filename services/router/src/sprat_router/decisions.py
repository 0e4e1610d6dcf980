"""The router's decisions: which tasks of a text nobody serves, and which predictions are kept or escalated."""

from dataclasses import dataclass, replace

from sprat.base.errors import Rejected
from sprat.base.model import DEFAULT_MODEL
from sprat.processing.handler import Received, origin_of
from sprat.registry.model_table import AnnouncedLabels, ModelTable
from sprat_contracts import (
    Accuracy,
    Declined,
    IntentOutput,
    LabelsOutput,
    MaskedOutput,
    Message,
    NerOutput,
    Output,
    Prediction,
    ReasonCode,
    TaskTable,
    TextOutput,
    TextSubmitted,
)
from sprat_contracts.kept import least_kept
from sprat_contracts.predictions import UNCHANGED, is_outside
from sprat_contracts.results import EACH_NAME
from sprat_contracts.reviews import NAMES, SURE_NAMES, TEXT
from sprat_contracts.texts import unknown_names
from sprat_contracts.thresholds import NONE, recommended_goal, says, thousandths
from sprat_policy import KeepRule, Policy
from sprat_router.alarms import tightened_goal

ALARM = "alarm"
CERTIFIED = "certified"
CONFIDENT = "confident"
ESTIMATED = "estimated"
DECLINED = "declined"
LOW_CONFIDENCE = "low_confidence"
MAY_MISS = "may_miss"
NO_LEVEL = "no_level"
NOT_CERTIFIED = "not_certified"
NOT_MEASURED = "not_measured"
NO_SERVICE = "no_service"
OUT_OF_SCOPE = "out_of_scope"
UNCALIBRATED = "uncalibrated"
NO_SMALL_MODEL = "the task has no small model; a large one answers it"
UNKNOWN_LABEL = ReasonCode.UNKNOWN_LABEL.value


DEFAULT_KEEP_AT = 0.8
"""Of answers that have no levels: a text that is its own translation, personal data, what a large model writes."""


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """The decision on a prediction, with its reasons."""

    reasons: tuple[str, ...] = ()
    """A Result shows the first. Where it is kept, there is one."""
    kept: bool = False
    threshold: float | None = None
    """The `keep_at` that was applied; None: none was."""
    goal: float | None = None
    """The share right that is wanted of kept answers; None: only a `keep_at` was applied."""
    evidence: str | None = None
    """What must reach the goal: `estimated` or `certified`."""
    level: float | None = None
    """What the answer reaches by that evidence; None: no level, or not known. Where it goes by the names, what is
    reached is that none is missed."""
    judged: str = TEXT
    """What is promised of it: of the `text`, of its `names`, or of its `sure_names` alone."""


def decide(
    prediction: Prediction, form: type[Output], rule: KeepRule, announced: AnnouncedLabels | None, steps: int = 0
) -> RouteDecision:
    """Decide whether a specialist's prediction is kept or escalated.

    Args:
        prediction: what the specialist said, and what that is worth.
        form: of the task's output.
        rule: of the policy, for the model that the text asks for and the text's language.
        announced: the labels of that model, whether it is calibrated, and what its card says of keeping its answers.
        steps: of the alarms that stand where it belongs; 0: none stands.
    """
    output = answer_of(form, prediction.output, prediction.declined)
    if output is None or prediction.confidence is None:
        return RouteDecision((DECLINED,))
    own = announced if announced is not None and is_of(prediction, announced) else None
    if isinstance(output, IntentOutput | LabelsOutput) and _has_unknown_label(prediction, output, own):
        return RouteDecision((UNKNOWN_LABEL,))
    out_of_scope = is_outside(output)
    reasons: list[str] = []
    if prediction.doubt is not None and rule.doubts == "escalate":
        reasons.append(prediction.doubt)
    if out_of_scope and rule.out_of_scope == "escalate":
        reasons.append(OUT_OF_SCOPE)
    if _is_by_model(prediction) and rule.uncalibrated == "escalate" and _is_uncalibrated(prediction, own):
        reasons.append(UNCALIBRATED)
    recommended = announced.recommended_goal if announced is not None else None
    judged = _judged(prediction, output, rule, own, recommended or recommended_goal(prediction.task))
    if rule.unit == "entity" and isinstance(output, NerOutput) and output.entities and judged.reasons:
        judged = _by_names(prediction, output, rule, judged)
    if steps and rule.on_alarm != "tell" and not judged.reasons:
        judged = _alarmed(prediction, output, rule, own, judged, steps)
    lacks = (*reasons, *judged.reasons)
    kept_by = OUT_OF_SCOPE if out_of_scope else CONFIDENT if judged.judged == TEXT else EACH_NAME
    return replace(judged, reasons=lacks or (kept_by,), kept=not lacks)


def marked(prediction: Prediction, decision: RouteDecision) -> Prediction:
    """Return a kept prediction; of one that is kept by its names, those whose level is below the goal are uncertain."""
    output, goal = prediction.output, decision.goal
    if decision.judged == TEXT or goal is None or not isinstance(output, NerOutput):
        return prediction
    names = tuple(each.model_copy(update={"uncertain": not _reaches(each.level, goal)}) for each in output.entities)
    return prediction.model_copy(update={"output": output.model_copy(update={"entities": names})})


def _judged(
    prediction: Prediction, output: Output, rule: KeepRule, own: AnnouncedLabels | None, recommended: float
) -> RouteDecision:
    """Return what the policy asks of an answer, and as reasons what it lacks.

    Args:
        prediction: of a model, with a confidence.
        output: the answer.
        rule: of the policy.
        own: what was announced of the very version that answered.
        recommended: the goal where the policy names none.
    """
    accuracy = None if prediction.renormalised else prediction.accuracy
    none_goal = rule.none_goal if says(output) == NONE else None
    if rule.keep_at is not None and none_goal is None:
        return _at(prediction, rule.keep_at)
    has_no_level = accuracy is None and isinstance(output, MaskedOutput | TextOutput)
    if has_no_level or not _is_by_model(prediction):
        return _at(prediction, DEFAULT_KEEP_AT)
    goal = none_goal or rule.goal or recommended
    if accuracy is not None:
        return _by_level(accuracy, goal, rule.evidence)
    if _is_uncalibrated(prediction, own) and rule.uncalibrated_keep_at is not None:
        return _at(prediction, rule.uncalibrated_keep_at)
    asked = RouteDecision(goal=goal, evidence=rule.evidence)
    # An older specialist, or a model that was not measured: by its card the recommended goal is reached from here on.
    keep_at = None if own is None or prediction.renormalised else own.keep_at_of(prediction.text_language)
    if own is None or keep_at is None or rule.evidence == CERTIFIED or not _reaches(recommended, goal):
        return replace(asked, reasons=(NOT_MEASURED,))
    at = _at(prediction, max(keep_at, own.keep_at_outside) if is_outside(output) else keep_at)
    return replace(asked, threshold=at.threshold, reasons=at.reasons)


def _by_names(prediction: Prediction, output: NerOutput, rule: KeepRule, whole: RouteDecision) -> RouteDecision:
    """Return what an answer lacks by its names that lacks something as a whole.

    Args:
        prediction: with an output that names something.
        output: that output.
        rule: of the policy, by which names are judged.
        whole: what the answer lacks as a whole.
    """
    missed, allowed = prediction.nothing_missed, rule.missed == "allow"
    is_measured = missed is not None or (allowed and any(each.level is not None for each in output.entities))
    if not is_measured or whole.goal is None or prediction.renormalised:
        return replace(whole, reasons=(NO_LEVEL, *whole.reasons))
    level = None if missed is None else missed.estimated
    reasons = () if allowed or _reaches(level, whole.goal) else (MAY_MISS,)
    judged = SURE_NAMES if allowed else NAMES
    return RouteDecision(reasons, goal=whole.goal, evidence=ESTIMATED, level=level, judged=judged)


def _alarmed(
    prediction: Prediction, output: Output, rule: KeepRule, own: AnnouncedLabels | None, kept: RouteDecision, steps: int
) -> RouteDecision:
    """Return what an answer lacks under an alarm that would be kept without it.

    Raising the goal claims nothing: the level of the answer is an estimate that the alarm speaks against.
    """
    if kept.judged != TEXT:  # each type of name has thresholds of its own, of which none is the next for all
        return replace(kept, reasons=(ALARM,))
    raised: float | None = None
    measured = None if own is None or prediction.renormalised else own.thresholds
    accuracy = prediction.accuracy
    if rule.on_alarm == "tighten" and kept.evidence == ESTIMATED and kept.goal is not None and measured is not None:
        raised = tightened_goal(measured, kept.goal, steps, prediction.text_language, says(output))
    if raised is None or accuracy is None:
        return replace(kept, reasons=(ALARM,))
    return _by_level(accuracy, raised, ESTIMATED)


def _by_level(accuracy: Accuracy, goal: float, evidence: str) -> RouteDecision:
    """Return what an answer lacks of which it is known what it is worth."""
    level = accuracy.certified if evidence == CERTIFIED else accuracy.estimated
    reasons: tuple[str, ...] = ()
    if not _reaches(level, goal):
        reasons = (NOT_CERTIFIED if _reaches(accuracy.estimated, goal) else LOW_CONFIDENCE,)
    return RouteDecision(reasons, goal=goal, evidence=evidence, level=level)


def _at(prediction: Prediction, keep_at: float) -> RouteDecision:
    """Return what an answer lacks that is kept from this confidence on. 1 keeps nothing that a model says."""
    least = least_kept(keep_at) if _is_by_model(prediction) else keep_at
    unsure = prediction.confidence is None or prediction.confidence < least
    return RouteDecision((LOW_CONFIDENCE,) if unsure else (), threshold=keep_at)


def _reaches(level: float | None, goal: float) -> bool:
    return level is not None and thousandths(level) >= thousandths(goal)


def _is_uncalibrated(prediction: Prediction, own: AnnouncedLabels | None) -> bool:
    return prediction.renormalised or (own is not None and not own.calibrated)


def _is_by_model(prediction: Prediction) -> bool:
    return prediction.model is None or prediction.model.stage != UNCHANGED


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


def _has_unknown_label(prediction: Prediction, output: Output, own: AnnouncedLabels | None) -> bool:
    """Return whether a label is none that its model can answer with: its service has a defect, or is not its own.

    While two versions of a model run side by side, the labels of the other one are not known. A service of an earlier
    version gives labels that the text does not ask for.
    """
    named = labels_of(output)
    if own is not None and own.label_names is not None and not named <= own.label_names:
        return True
    asked = asked_labels(prediction)
    return asked is not None and not named <= frozenset(asked)


def asked_labels(prediction: Prediction) -> tuple[str, ...] | None:
    """Return the labels that the text asks to choose from; None: all of them."""
    options = prediction.submitted.tasks.options(prediction.task)
    return None if options is None else options.labels


def is_of(prediction: Prediction, announced: AnnouncedLabels) -> bool:
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
    named = text.tasks.unknown
    if not named:
        return None
    unknown = [name for name in named if name not in tasks]
    known = text.tasks.known_to(tasks)
    unread = [name for name in named if name in tasks and name not in known]
    if not unknown and not unread:
        return None
    problems = [f"tasks.{name}: its options are no object as {{}}, or name no model or no labels" for name in unread]
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
