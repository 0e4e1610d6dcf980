"""What an answer to a review says of the answer that was drawn."""

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, NerOutput, Output
from sprat_contracts.reviews import CANNOT_TELL, NAMES, RIGHT, SURE_NAMES, TEXT, WRONG

Said = tuple[str, Hashable] | None
"""What an output says, with its form; None where equality is not what is right."""
_Name = tuple[int, int, str]


class SaidNames(NamedTuple):
    """What an answer says that was kept by its names."""

    sure: frozenset[_Name]
    places: frozenset[tuple[int, int]] | None
    """Of all its names; None where it may have missed one."""

    def is_right(self, names: Iterable[_Name]) -> bool:
        """Return whether each sure name is among those of the reviewer, and none of these is missed.

        One is missed where no name of the answer, sure or uncertain, overlaps it.
        """
        given = frozenset(names)
        found = self.places
        return self.sure <= given and (
            found is None
            or all(any(start < its_end and its_start < end for its_start, its_end in found) for start, end, _ in given)
        )


def verdict_of(drawn: Said, given: FeedbackGiven) -> str | None:
    """Return whether the drawn answer is `right` or `wrong`, or that the reviewer `cannot_tell`.

    Labels are right where they are those of the reviewer, names where all are the same with their types and none is
    missed; of an answer that was kept by its names, uncertain ones do not count. Of other outputs many can be right:
    only a judgement counts.

    Returns:
        None where the answer cannot be compared with what was drawn.
    """
    if given.verdict is not None:
        return given.verdict if given.verdict in {RIGHT, WRONG, CANNOT_TELL} else None
    meant = said_of(given.output)
    if drawn is None or meant is None or drawn[0] != meant[0]:
        return None
    if isinstance(drawn[1], SaidNames) and isinstance(given.output, NerOutput):
        return RIGHT if drawn[1].is_right(_names_of(given.output)) else WRONG
    return RIGHT if drawn == meant else WRONG


def said_of(output: Output, judged: str = TEXT) -> Said:
    """Return what an output says, so that equal answers are equal.

    Args:
        output: of the model, or of the reviewer.
        judged: what of it a review judges.
    """
    match output:
        case IntentOutput(label=label):
            return "label", label
        case LabelsOutput(labels=labels):
            return "labels", frozenset(each.label for each in labels)
        case NerOutput(entities=entities) if judged in {NAMES, SURE_NAMES}:
            places = frozenset((each.start, each.end) for each in entities) if judged == NAMES else None
            return "entities", SaidNames(frozenset(_names_of(output, sure=True)), places)
        case NerOutput():
            return "entities", frozenset(_names_of(output))
        case _:
            return None


def _names_of(output: NerOutput, *, sure: bool = False) -> Iterator[_Name]:
    return ((each.start, each.end, each.label) for each in output.entities if not (sure and each.uncertain))
