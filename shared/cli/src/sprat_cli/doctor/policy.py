"""The policy beside the models that are announced: names that are none of theirs, and whose `keep_at` holds."""

from collections.abc import Iterator, Sequence

from sprat.model import DEFAULT_MODEL
from sprat_cli.doctor.check import Check, good, warning
from sprat_contracts import TASKS, ModelAnnounced
from sprat_operations.serving import advised_keep_at
from sprat_policy import Policy, UnannouncedModel, unannounced_models


def check_policy(policy: Policy, announced: Sequence[ModelAnnounced]) -> Iterator[Check]:
    """Look at each model that the policy names, and at what the cards of those announced advise."""
    for name in unannounced_models(policy, announced):
        yield warning(
            "policy",
            f"{name.place}: no model of this name is announced, so it changes nothing",
            _mend(name, announced),
        )
    for each in announced:
        advised = advised_keep_at(each)
        if each.task in TASKS and advised is not None:
            yield from _compared(policy, each, advised)


def _mend(name: UnannouncedModel, announced: Sequence[ModelAnnounced]) -> str:
    there = ", ".join(each.model for each in announced if each.task == name.task) or "none"
    if name.suggestion is not None:
        return f"did you mean {name.suggestion}? Announced for {name.task}: {there}"
    return f"correct it, or start its service; announced for {name.task}: {there}"


def _compared(policy: Policy, announced: ModelAnnounced, advised: float) -> Iterator[Check]:
    task, model = announced.task, announced.model
    holds = policy.task(task, model).keep_at
    if f"{holds:.2f}" == f"{advised:.2f}":
        return
    said = f"{task}/{model}: keep_at {holds:.2f} holds"
    if _chosen(policy, task, model):
        yield good("policy", f"{said}, as you set it; its card advises {advised:.2f}")
        return
    place = f"tasks.{task}.models.{model}.keep_at"
    yield warning(
        "policy",
        f"{said}, its card advises {advised:.2f}",
        f"`sprat assess` finds the one for your texts; or write {place}: {advised:.2f}",
    )


def _chosen(policy: Policy, task: str, model: str) -> bool:
    """Tell whether the file sets it for this very model; what a task says is meant for the model of no other name."""
    rules = getattr(policy.tasks, task)
    own = rules.models.get(model)
    if own is not None and own.keep_at is not None:
        return True
    return model == DEFAULT_MODEL and "keep_at" in rules.model_fields_set
