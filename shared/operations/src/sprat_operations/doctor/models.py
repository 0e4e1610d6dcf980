"""Checks of the announced models: whether each is served, and whether the policy fits them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sprat.base.checks import Check, broken, ok, some_of, unknown, warning
from sprat.base.words import counted
from sprat.kafka.lag import LagSnapshot
from sprat_contracts import ModelAnnounced
from sprat_operations.goals import RuleEffect, kept_answers
from sprat_operations.models import (
    WHY_IGNORED,
    RegisteredModels,
    group_of,
    serving_advice,
)
from sprat_policy import Policy, TaskRules, UnannouncedModel, unannounced_models
from sprat_privacy.detectors.labels import labels_to_keep, numbered


def check_models(registered: RegisteredModels, measured: LagSnapshot) -> Iterator[Check]:
    """Check the announced models, and the group of each; then what services ignore."""
    announced = registered.announced
    yield from _announced(announced, measured)
    if not registered.verified:
        yield unknown(
            "models",
            "whether their announcements are genuine: this shell does not know the secret that they are signed with",
            "set SPRAT_SECRET to that of the services",
        )
    yield from _ignored(registered, measured)


def _ignored(registered: RegisteredModels, measured: LagSnapshot) -> Iterator[Check]:
    """Report a service that is ignored for itself, and count what else is."""
    others = []
    for each in registered.ignored:
        group = measured.groups.get(each.name.replace("/", ".", 1))
        if registered.counts(each) or group is None or not group.group.members:
            others.append(each)
            continue
        yield broken(
            "models",
            f"{each.name}: its service runs, but {WHY_IGNORED[each.why]}: for the router nothing serves it, and its "
            "answers are ignored",
            "give its service the SPRAT_SECRET of the others, and restart it",
        )
    if others:
        reasons = Counter(WHY_IGNORED[each.why] for each in others)
        why = "; ".join(f"{count:,}: {reason}" for reason, count in reasons.items())
        finding = f"{counted(len(others), 'record')} of announcements that services ignore ({why}): "
        yield warning("models", finding + some_of(sorted({each.name for each in others})), "sprat models clean")


def _announced(announced: Sequence[ModelAnnounced], measured: LagSnapshot) -> Iterator[Check]:
    if not announced:
        yield warning(
            "models", "none announced: every text goes to the frontier", "start a service, as `sprat up` does"
        )
        return
    finding = ", ".join(_model(each) for each in announced)
    if any(each.owns_from is None for each in announced):
        yield warning("models", finding, "a service is starting, or its start failed: look at its log")
    else:
        yield ok("models", finding)
    for each in announced:
        if each.owns_from is not None and not _members(each, measured):
            yield _unserved(each, measured)


def _members(announced: ModelAnnounced, measured: LagSnapshot) -> int:
    group = measured.groups.get(group_of(announced))
    return 0 if group is None else len(group.group.members)


def _unserved(announced: ModelAnnounced, measured: LagSnapshot) -> Check:
    group = measured.groups.get(group_of(announced))
    waiting = ""
    if group is not None and group.lag:
        came = f"{counted(group.lag, 'text')} {'has' if group.lag == 1 else 'have'}"
        waiting = f"; {came} come since, and at most so many of them wait for it"
    name = f"{announced.task}/{announced.model}"
    finding = f"{name} is announced, but no service runs for it: texts that ask for it get no Result{waiting}"
    return broken("models", finding, serving_advice(announced))


def _model(announced: ModelAnnounced) -> str:
    labels = f", {counted(len(announced.labels), 'label')}" if announced.labels else ""
    serving = "" if announced.owns_from is not None else ", not serving yet"
    return f"{announced.task}/{announced.model} {announced.version[:8]}{labels}{serving}"


_MEASURE = "a lower goal, or more labelled rows: sprat evaluate FILE --model MODEL --write"


def check_policy(policy: Policy, announced: Sequence[ModelAnnounced]) -> Iterator[Check]:
    """Check the models that the policy names, and what it keeps of the answers of the announced ones."""
    for name in unannounced_models(policy, announced):
        yield warning(
            "policy",
            f"{name.place}: no model of this name is announced, so it changes nothing",
            _fix(name, announced),
        )
    for each in announced:
        yield from _labels(policy, each)
        rules = policy.task(each.task) if each.task in policy.task_names else None
        if rules is not None and rules.has_levels:
            yield from _kept(rules, each)


def _labels(policy: Policy, announced: ModelAnnounced) -> Iterator[Check]:
    """Warn of labels that must not leave; they are not quoted, as they may be in a log then."""
    kept = labels_to_keep(announced.labels or (), policy.perimeter)
    if kept:
        yield warning(
            "policy",
            f"{announced.task}/{announced.model}: {numbered(kept)} of {len(announced.labels or ())} with a term of the "
            "policy or a personal value; under `redact` its hard cases do not leave (declined: policy)",
            f"give the model other labels; `sprat models show {announced.task}/{announced.model}` lists them",
        )


def _fix(name: UnannouncedModel, announced: Sequence[ModelAnnounced]) -> str:
    there = ", ".join(each.model for each in announced if each.task == name.task) or "none"
    if name.suggestion is not None:
        return f"did you mean {name.suggestion}? Announced for {name.task}: {there}"
    return f"correct it, or start its service; announced for {name.task}: {there}"


def _kept(rules: TaskRules, announced: ModelAnnounced) -> Iterator[Check]:
    """Check what is kept of a model's answers; warn where that is nothing, also in one language alone."""
    name, general = f"{announced.task}/{announced.model}", kept_answers(rules.rule(announced.model, ""), announced)
    yield _check(name, general)
    own = {each.language for each in announced.thresholds.cells} if announced.thresholds is not None else set()
    for language in sorted(
        {*rules.named_languages(announced.model), *filter(None, own), *announced.keep_at_by_language}
    ):
        kept = kept_answers(rules.rule(announced.model, language), announced, language)
        if kept != general:
            yield _check(f"{name}, texts in {language}", kept)


def _check(of: str, kept: RuleEffect) -> Check:
    if not kept.nothing:
        return ok("policy", f"{of}: {kept.words}")
    return warning("policy", f"{of}: {kept.words}", _MEASURE)
