"""Finds that overlap become one: nothing that anybody found stays outside."""

from collections.abc import Iterable
from dataclasses import replace

from sprat.perimeter.found import Found
from sprat.perimeter.kinds import rank


def resolve(found: Iterable[Found]) -> list[Found]:
    """Give finds without overlaps, in the order of the text.

    Of finds that overlap, the longest says what it is; one that reaches beyond it lengthens it. Where two are equally
    long, in this order: the higher score, the stronger type (`kinds.STRONGEST_FIRST`), the earlier start, the finder's
    name. Finds that only touch stay two.
    """
    resolved: list[Found] = []
    group: list[Found] = []
    end = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if group and one.start >= end:
            resolved.append(_one(group, end))
            group = []
        end = max(end, one.end) if group else one.end
        group.append(one)
    if group:
        resolved.append(_one(group, end))
    return resolved


def _one(group: list[Found], end: int) -> Found:
    return replace(min(group, key=_order), start=group[0].start, end=end)


def _order(one: Found) -> tuple[int, float, tuple[int, str], int, str]:
    return one.start - one.end, -one.score, rank(one.type), one.start, one.finder
