"""What the batch loop does next with its items: choices without effects, in the order of its steps.

The items are those that are decoded and not committed yet, in the order in which they were polled.
"""

from collections.abc import Sequence
from typing import Final

from sprat.processing.records import WorkItem

BATCH_TOKENS: Final = 8_000
"""Upper bound of what is with the model at a time, so that it ends well within `max.poll.interval.ms` and the drain."""


def to_answer(items: Sequence[WorkItem], *, is_open: bool) -> list[WorkItem]:
    """Return the undecided items that are still answered.

    After admission has closed, only those that published ones of their partition have overtaken: as those cannot be
    committed before them, the partition's next owner would publish them again. None where that takes too long.
    """
    if is_open:
        return [item for item in items if item.outcome is None]
    late = overtaken(items)
    return late if len(first_tokens(late)) == len(late) else []


def overtaken(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the undecided items behind which one of their partition has published something."""
    partitions: set[tuple[str, int]] = set()
    late: list[WorkItem] = []
    for item in reversed(items):
        if item.outcome is None:
            if item.partition in partitions:
                late.append(item)
        elif item.acknowledged_s is not None and (item.outcome.events or item.outcome.rejected is not None):
            partitions.add(item.partition)
    late.reverse()
    return late


def to_refresh(items: Sequence[WorkItem], *, is_open: bool) -> list[WorkItem]:
    """Return the undecided items that ask no model: a refresh precedes the decision on them."""
    return [item for item in to_answer(items, is_open=is_open) if item.ask is None]


def to_look_up(undecided: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the first undecided items that were not looked up; none while more than one part is for the model.

    No further ahead: a text that is equal to one with the model is looked up once that is cached.
    """
    if sum(item.tokens for item in undecided if item.cache_s is not None) > BATCH_TOKENS:
        return []
    return first_tokens([item for item in undecided if item.cache_s is None])


def to_infer(undecided: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the first undecided items that were looked up and not found."""
    return first_tokens([item for item in undecided if item.cache_s is not None])


def to_publish(items: Sequence[WorkItem], *, is_open: bool) -> list[WorkItem]:
    """Return what is decided, without what must not overtake an undecided record of the same key.

    After admission has closed, nothing of a partition overtakes: what cannot be committed is the next owner's.
    """
    part: list[WorkItem] = []
    waiting: set[object] = set()
    for item in items:
        if item.acknowledged_s is not None:
            continue
        place = (*item.partition, item.record.key) if is_open else item.partition
        if item.outcome is not None:
            if place not in waiting:
                part.append(item)
        elif not is_open or item.record.key is not None:
            waiting.add(place)
    return part


def committable(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the items of each partition that precede the first one that is not acknowledged."""
    done: list[WorkItem] = []
    unfinished: set[tuple[str, int]] = set()
    for item in items:
        if item.acknowledged_s is None:
            unfinished.add(item.partition)
        elif not unfinished or item.partition not in unfinished:
            done.append(item)
    return done


def first_tokens(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return the first items, up to BATCH_TOKENS; at least one, if there is one."""
    tokens = 0
    for place, item in enumerate(items):
        tokens += item.tokens
        if place and tokens > BATCH_TOKENS:
            return list(items[:place])
    return list(items)
