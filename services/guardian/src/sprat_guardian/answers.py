"""What an answer to a review says of the answer that was drawn."""

from collections.abc import Hashable

from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, NerOutput, Output
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, WRONG

Said = tuple[str, Hashable] | None
"""What an output says, with its form; None where equality is not what is right."""


def verdict_of(drawn: Said, given: FeedbackGiven) -> str | None:
    """Return whether the drawn answer is `right` or `wrong`, or that the reviewer `cannot_tell`.

    Labels are right where they are those of the reviewer, names where all are the same with their types and none is
    missed. Of other outputs many can be right: only a judgement counts.

    Returns:
        None where the answer cannot be compared with what was drawn.
    """
    if given.verdict is not None:
        return given.verdict if given.verdict in {RIGHT, WRONG, CANNOT_TELL} else None
    meant = said_of(given.output)
    if drawn is None or meant is None or drawn[0] != meant[0]:
        return None
    return RIGHT if drawn == meant else WRONG


def said_of(output: Output) -> Said:
    """Return what an output says, so that equal answers are equal."""
    match output:
        case IntentOutput(label=label):
            return "label", label
        case LabelsOutput(labels=labels):
            return "labels", frozenset(each.label for each in labels)
        case NerOutput(entities=entities):
            return "entities", frozenset((each.start, each.end, each.label) for each in entities)
        case _:
            return None
