"""Steps as a tree: below each record those that it caused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sprat.operating.steps import Identity, Step
from sprat.operating.telling import ATTEMPT, DEPTH, Kind
from sprat_contracts import TASKS

_ROUTER, _UNKNOWN_TASK = "router", "unknown_task"

_CAUSES: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.text: (),
    Kind.prediction: (Kind.text,),
    Kind.request: (Kind.prediction, Kind.text),
    Kind.answer: (Kind.request,),
    Kind.result: (Kind.answer, Kind.prediction, Kind.request, Kind.text),
    Kind.feedback: (Kind.result, Kind.text),
}
"""What can have caused a record, the likeliest first."""


@dataclass(slots=True)
class Node:
    """A step and what it caused."""

    step: Step
    children: list["Node"] = field(default_factory=list)


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Give the steps by the broker's clock; those of the same millisecond as they cause each other."""
    return sorted(steps, key=lambda step: (step.at_ms, DEPTH[step.kind], step.told.decision, step.place))


def grown(steps: Iterable[Step]) -> list[Node]:
    """Give the trees that the steps of one text make; more than one where a cause was not found."""
    ordered = in_order(steps)
    nodes = {step.place: Node(step) for step in ordered}
    roots: list[Node] = []
    for step in ordered:
        cause = cause_of(step, ordered)
        (roots if cause is None else nodes[cause.place].children).append(nodes[step.place])
    return roots


def cause_of(step: Step, ordered: Sequence[Step]) -> Step | None:
    """Give the step that caused this one: of the same text and task, the latest before it.

    The clocks of several brokers differ: where none stands before it, the first after it.
    """
    if step.kind is Kind.dead_letter:
        return next((each for each in ordered if each.place == step.cause), None)
    if step.kind is Kind.egress:
        return _of_call(step, ordered)
    causes = _CAUSES[step.kind]
    if step.kind is Kind.result and step.told.decision == "kept":  # a redelivery may have been escalated, this was not
        causes = tuple(kind for kind in causes if kind is not Kind.answer)
    found = ([each for each in ordered if each.kind is kind and _fits(step, each)] for kind in causes)
    return next((_nearest(step, fitting, ordered) for fitting in found if fitting), None)


def _of_call(step: Step, ordered: Sequence[Step]) -> Step | None:
    """Give the attempt of the same call, else the request that the call was made for."""
    calls = [each for each in ordered if each.kind is Kind.egress and each.call_id == step.call_id]
    attempts = [each for each in calls if each.told.decision == ATTEMPT]
    if step.told.decision != ATTEMPT and attempts:
        return _nearest(step, attempts, ordered)
    asked = [each for each in ordered if each.kind is Kind.request and step.task in (None, each.task)]
    return _nearest(step, asked, ordered) if asked else None


def _nearest(step: Step, fitting: Sequence[Step], ordered: Sequence[Step]) -> Step:
    before = [each for each in fitting if ordered.index(each) < ordered.index(step)]
    return before[-1] if before else fitting[0]


def _fits(step: Step, cause: Step) -> bool:
    if cause.kind is Kind.text:
        return step.origin is None or step.origin == cause.place[1:]
    return step.task == cause.task and (step.origin is None or cause.origin in (None, step.origin))


def by_text(steps: Iterable[Step]) -> dict[Identity, list[Step]]:
    """Part the steps by text, the texts in the order in which they came; all of them must say theirs."""
    parted: dict[Identity, list[Step]] = {}
    for step in in_order(steps):
        if step.identity is not None:
            parted.setdefault(step.identity, []).append(step)
    return parted


def asked_models(steps: Iterable[Step]) -> dict[str, str]:
    """Give task → the model of it that the text asks for, as far as the steps of one text say so."""
    return {task: model for step in in_order(steps) for task, model in step.asked.items()}


def unfinished(steps: Iterable[Step]) -> tuple[str, ...]:
    """Give the known tasks asked for that have no Result yet; none where the router rejected the text.

    Where the text itself was not found, nothing is known of them, and none are given.
    """
    every = in_order(steps)
    asked = [step for step in every if step.kind is Kind.text]
    if not asked or any(_rejects(step, asked[-1]) for step in every):
        return ()
    done = {step.task for step in every if step.kind is Kind.result}
    return tuple(task for task in asked[-1].tasks if task in TASKS and task not in done)


def _rejects(step: Step, text: Step) -> bool:
    """Is it the dead letter of the whole text? One of unknown tasks leaves the known ones."""
    by_router = step.kind is Kind.dead_letter and step.service == _ROUTER and step.cause == text.place
    return by_router and step.told.reason != _UNKNOWN_TASK
