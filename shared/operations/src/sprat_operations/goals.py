"""What the policy keeps of a model's answers, as far as its thresholds and its card tell."""

from collections.abc import Iterator
from dataclasses import dataclass

from sprat.base.model import DEFAULT_MODEL
from sprat.registry.model_table import AnnouncedLabels
from sprat_contracts import ModelAnnounced
from sprat_contracts.thresholds import NONE, SOME, Thresholds, recommended_goal, thousandths
from sprat_policy import KeepRule, TaskRules


def recommended(announced: ModelAnnounced) -> float:
    """Return the goal of a model where the policy names none."""
    return AnnouncedLabels.of(announced).recommended_goal or recommended_goal(announced.task)


def recommended_from(announced: ModelAnnounced) -> str:
    """Return that goal and from which confidence on it is reached, also by language: `0.97 from 0.61, de never`."""
    goal, thresholds = recommended(announced), announced.thresholds
    if thresholds is None:
        at = "not measured" if announced.keep_at is None else f"from {announced.keep_at:.2f} by its card"
        return f"{goal:g} {at}"
    languages = sorted({each.language for each in thresholds.cells if each.language is not None})
    found = {name: thresholds.threshold(goal, "estimated", name, SOME) for name in ("", *languages)}
    said = {name: "never" if least is None else f"{least:.2f}" for name, least in found.items()}
    first = said[""] if found[""] is None else f"from {said['']}"
    return ", ".join([f"{goal:g} {first}", *(f"{name} {said[name]}" for name in languages if said[name] != said[""])])


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """What is kept, in words, and whether that is nothing."""

    words: str
    nothing: bool = False


def kept_answers(rule: KeepRule, announced: ModelAnnounced, language: str = "") -> RuleEffect:
    """Return which answers of a model to texts in a language the router keeps.

    Args:
        rule: of the policy, for this model and language.
        announced: the model, with its card and its thresholds.
        language: BCP 47; empty: one without rules of its own.
    """
    labels, thresholds = AnnouncedLabels.of(announced), announced.thresholds
    if rule.uncalibrated == "escalate" and not labels.calibrated:
        return RuleEffect("its card says that it has no calibration: nothing is kept", nothing=True)
    if rule.keep_at is not None:
        nothing = rule.keep_at == 1
        return RuleEffect(f"keep_at {rule.keep_at:g}{': nothing is kept' if nothing else ''}", nothing)
    goal = rule.goal or recommended(announced)
    words = f"goal {goal:g}{' (recommended)' if rule.goal is None else ''}{_certified(rule)}{rule.by_names}"
    if thresholds is not None:
        return _by_thresholds(words, rule, goal, thresholds, language)
    if not labels.calibrated and rule.uncalibrated_keep_at is not None:
        return RuleEffect(f"{words}: not measured, so uncalibrated_keep_at {rule.uncalibrated_keep_at:g} decides")
    keep_at = labels.keep_at_of(language)
    if keep_at is None or rule.evidence == "certified" or thousandths(goal) > thousandths(recommended(announced)):
        return RuleEffect(f"{words}: not measured, nothing is kept", nothing=True)
    return RuleEffect(f"{words}: not measured, so its card decides, from {keep_at:.2f} on", nothing=keep_at == 1)


def _by_thresholds(words: str, rule: KeepRule, goal: float, thresholds: Thresholds, language: str) -> RuleEffect:
    some = thresholds.threshold(goal, rule.evidence, language, SOME)
    none_goal = rule.none_goal or goal
    none = thresholds.threshold(none_goal, rule.evidence, language, NONE) if rule.out_of_scope == "keep" else None
    if rule.unit == "entity":  # what of it is kept by its names, no threshold of whole texts says
        kept = f"whole texts kept {_from(some)}"
    elif some is None and none is None:
        return RuleEffect(f"{words}: no threshold reaches it, nothing is kept", nothing=True)
    else:
        kept = f"kept {_from(some)}"
    if thresholds.cell(None, NONE) is not None:
        own = "" if rule.none_goal is None else f" (goal {none_goal:g})"
        kept = f"{kept}, and {_from(none)} where it names nothing{own}"
    return RuleEffect(f"{words}: {kept}")


def _from(threshold: float | None) -> str:
    return "never" if threshold is None else f"from {threshold:.2f} on"


def _certified(rule: KeepRule) -> str:
    return ", certified" if rule.evidence == "certified" else ""


def rules_in_words(rules: TaskRules) -> Iterator[str]:
    """Return which answers of a task are kept: by its default model, in a language and by a model with other rules.

    Then which of these are reviewed, and what an alarm does.
    """
    general = rules.rule(DEFAULT_MODEL, "")
    yield f"kept by {_words(general)}"
    for language in rules.named_languages(DEFAULT_MODEL):
        yield f"in {language} by {_words(rules.rule(DEFAULT_MODEL, language))}"
    for model in rules.named_models:
        its = rules.rule(model, "")
        if _words(its) != _words(general):
            yield f"{model} by {_words(its)}"
        for language in rules.named_languages(model):
            others = (_words(its), _words(rules.rule(DEFAULT_MODEL, language)))
            if (own := _words(rules.rule(model, language))) not in others:
                yield f"{model} in {language} by {own}"
    yield from _reviews(general)
    for model in rules.named_models:
        its = rules.rule(model, "")
        if (its.review, its.on_alarm) != (general.review, general.on_alarm):
            yield from (f"{model}: {words}" for words in _reviews(its))


def _reviews(rule: KeepRule) -> Iterator[str]:
    if rule.review is not None and rule.review.share:
        yield str(rule.review)
    if rule.on_alarm != "tell":
        yield f"{rule.on_alarm} on an alarm"


def _words(rule: KeepRule) -> str:
    """Return a rule in words, with what it means where nothing or everything is kept."""
    nothing = ", so nothing is" if rule.keep_at == 1 else ""
    outside = ", none without a label" if rule.out_of_scope == "escalate" else ""
    number = f"{rule.uncalibrated_keep_at:g}" if rule.uncalibrated_keep_at is not None and rule.keep_at is None else ""
    return f"{rule}{nothing}{outside}{f', uncalibrated keep_at {number}' if number else ''}"
