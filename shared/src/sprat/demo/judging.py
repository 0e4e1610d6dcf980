"""Is an answer right? Compared with what a person wrote beside the sample."""

from typing import Any

from sprat_contracts import IntentOutput, NerOutput, Output, TranslationOutput


def is_right(output: Output, gold: Any, *, by_small_model: bool) -> bool | None:
    """Compare an output with the gold answer of its task; None where that cannot tell.

    An intent is right when the label is the same, names when all spans and labels are the same. A translation can be
    good and differ from its gold: only the simulator's, which is the gold text or a spoilt one, can be judged so.
    """
    match output:
        case IntentOutput():
            return bool(output.label == gold)
        case NerOutput():
            found = {(entity.start, entity.end, entity.label) for entity in output.entities}
            return found == {(entity["start"], entity["end"], entity["label"]) for entity in gold}
        case TranslationOutput():
            return None if by_small_model else output.text.split() == str(gold).split()
