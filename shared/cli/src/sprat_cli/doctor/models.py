"""Checks of the announced models: whether each is served, and whether the policy fits them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sprat.kafka.lag import LagSnapshot
from sprat.model import DEFAULT_MODEL
from sprat.words import counted
from sprat_cli.doctor.check import Check, broken, ok, some_of, unknown, warning
from sprat_cli.which_keep_at import (
    OF_CARD,
    CardKeepAt,
    KeepAtAdvice,
    KeepAtInForce,
    is_assessed,
    is_provisional,
    keep_at_advice,
    place_of_keep_at,
)
from sprat_contracts import ModelAnnounced
from sprat_operations.models import (
    WHY_IGNORED,
    RegisteredModels,
    advised_by_language,
    advised_keep_at,
    group_of,
    serving_advice,
)
from sprat_policy import NO_FILES, Policy, TaskFiles, UnannouncedModel, unannounced_models
from sprat_privacy.labels import labels_to_keep, numbered


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


def check_policy(policy: Policy, announced: Sequence[ModelAnnounced], files: TaskFiles = NO_FILES) -> Iterator[Check]:
    """Check the models that the policy names, and its `keep_at` against the announced cards.

    Args:
        policy: with the tasks of `files`.
        announced: the models.
        files: the tasks that have a file.
    """
    for name in unannounced_models(policy, announced):
        yield warning(
            "policy",
            f"{name.place}: no model of this name is announced, so it changes nothing",
            _fix(name, announced),
        )
    for each in announced:
        yield from _labels(policy, each)
        advised = advised_keep_at(each)
        if each.task in policy.task_names and advised is not None:
            yield from _compared(policy, each, advised, files)


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


def _compared(policy: Policy, announced: ModelAnnounced, advised: float, files: TaskFiles) -> Iterator[Check]:
    """Compare the threshold of the model, then those of the languages for which the file or the card has another."""
    task, model = announced.task, announced.model
    rules = policy.task(task, model)
    file = str((files.folder or Path()) / f"{task}.yaml") if task in files else "the policy"
    provisional = is_provisional(str(announced.card.get("keep_at_rule", "")))

    def difference(
        of: str, in_force: KeepAtInForce, advised: float, *, chosen: bool, language: str | None = None
    ) -> Check | None:
        place = place_of_keep_at(task, in_force.name, files, language)
        card = CardKeepAt(advised, provisional, announced.version)
        advice = keep_at_advice(in_force, card, place, assessed=is_assessed(task, files))
        said = f"{of}: keep_at {in_force.value:.2f} in {file}"
        return None if advice is None else _difference(said, in_force.value, advised, advice, chosen=chosen)

    in_force = KeepAtInForce.of(policy, task, model)
    of_model = difference(f"{task}/{model}", in_force, advised, chosen=in_force.is_own)
    by_language = advised_by_language(announced)
    # Who set another number than the card's for all languages has chosen it for these, too.
    for_all = in_force.is_own and f"{in_force.value:.2f}" != f"{advised:.2f}"
    of_languages = []
    for language in sorted({*rules.keep_at_by_language, *by_language}):
        chosen = for_all or language in rules.keep_at_by_language
        its = KeepAtInForce(rules.keep_at_in(language), chosen, name=in_force.name)
        of = f"{task}/{model}, texts in {language}"
        of_languages.append(difference(of, its, by_language.get(language, advised), chosen=chosen, language=language))
    if (
        of_model is None
        and in_force.is_own
        and (model != DEFAULT_MODEL or in_force.source_for(announced.version) is not None)
    ):
        yield ok(
            "policy", f"{task}/{model}: keep_at {in_force.value:.2f} in {file}, {_why(in_force, announced.version)}"
        )
    yield from (each for each in (of_model, *of_languages) if each is not None)


def _why(in_force: KeepAtInForce, version: str) -> str:
    """Return why a `keep_at` holds for a version of which nothing is to be done."""
    source = in_force.source_for(version)
    if source is not None and source.shows(version):
        return f"shown for this version: {source.asked}"
    if source is not None and source.version == version and source.but != OF_CARD:
        return f"found for this version: {source.asked}"
    return "as its card advises"


def _difference(said: str, holds: float, advised: float, advice: KeepAtAdvice, *, chosen: bool) -> Check:
    """Return a check that passes where the owner has chosen a threshold and no higher one is to be written."""
    if not chosen:
        return warning("policy", f"{said}, its card advises {advised:.2f}", advice.said)
    said += ", stricter than its card advises" if holds > advised else f", looser than its card advises, {advised:.2f}"
    read = "the router reads the file when it starts"
    if advice.raises:
        return warning("policy", f"{said}; {read}", advice.said)
    return ok("policy", f"{said}: {advice.said}; {read}")
