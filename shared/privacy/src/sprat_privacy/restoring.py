"""From an answer about a masked text to one about the original."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sprat_contracts import Entity, NerOutput, Output, TranslationOutput
from sprat_privacy.entity_types import ner_label
from sprat_privacy.errors import NotRestorable
from sprat_privacy.masked_text import Masked, MaskedSpan, resembling_in, standing_in

MAX_ENTITIES = 1000
"""The contract's limit."""


def restore(output: Output, masked: Masked) -> Output:
    """Give the answer as if the original had been asked about.

    An intent stays as it is. A translation has every placeholder replaced by its value. Entities are moved to the
    original, and what was masked is an entity, too.

    Raises:
        NotRestorable: a translation without a placeholder of the text, or with one too many; or an entity that does not
            stand in the text that left.
    """
    if isinstance(output, TranslationOutput):
        return output.model_copy(update={"text": restore_text(output.text, masked)})
    if isinstance(output, NerOutput):
        return _entities(output, masked)
    return output


def restore_text(text: str, masked: Masked) -> str:
    """Replace the placeholders by their values.

    Where one value was written in several ways, its first placeholder becomes the first way, its second the second: so
    what left comes back exactly. Where the text changed their order, any of them is the value all the same.

    Raises:
        NotRestorable: the placeholders are not those of the text that left, each as often. One that came back in other
            case or with other spaces counts as lost.
    """
    came, sent = standing_in(text), standing_in(masked.text)
    if Counter(came) != Counter(sent) or Counter(resembling_in(text)) != Counter(resembling_in(masked.text)):
        raise NotRestorable("the answer does not hold each placeholder as often as the text")
    forms = {given: iter(values) for given, values in masked.forms().items()}
    pieces: list[str] = []
    last = 0
    for given in came:
        at = text.index(given, last)
        pieces += (text[last:at], next(forms[given]) if given in forms else given)
        last = at + len(given)
    return "".join((*pieces, text[last:]))


@dataclass(slots=True)
class _Way:
    """The way back from offsets in what left."""

    masked: Masked
    starts: Sequence[int]
    ends: Sequence[int]

    def touched(self, start: int, end: int) -> Sequence[MaskedSpan]:
        """Give the spans whose placeholders a stretch of what left covers or cuts."""
        return self.masked.spans[bisect_right(self.ends, start) : bisect_left(self.starts, end)]

    def offset(self, at: int) -> int:
        """Give the original offset of one outside the placeholders, or at the edge of one."""
        passed = bisect_right(self.ends, at)
        if not passed:
            return at
        before = self.masked.spans[passed - 1]
        return before.end + at - before.after


def _entities(output: NerOutput, masked: Masked) -> NerOutput:
    """Move entities to the original.

    An entity that touches a placeholder is widened to hold it whole. It stays if everything masked in it is what the
    entity is (`Dr. [PERSON_1]`, a person); else what is masked comes back as what it is, alone, and the entity is
    dropped.
    """
    spans = masked.spans
    way = _Way(masked, [span.at for span in spans], [span.after for span in spans])
    entities: list[Entity] = []
    told: set[int] = set()
    for entity in output.entities:
        if masked.text[entity.start : entity.end] != entity.text:
            raise NotRestorable("an entity does not stand in the text that left")
        touched = way.touched(entity.start, entity.end)
        if any(ner_label(span.type) != entity.label or span.start in told for span in touched):
            continue
        told.update(span.start for span in touched)
        start, end = entity.start, entity.end
        if touched:
            start, end = min(start, touched[0].at), max(end, touched[-1].after)
        entities.append(_moved(entity, masked, way.offset(start), way.offset(end)))
    entities += (
        Entity(start=span.start, end=span.end, text=masked.value(span), label=ner_label(span.type))
        for span in spans
        if span.start not in told
    )
    entities.sort(key=lambda entity: (entity.start, -entity.end))
    truncated = output.truncated or len(entities) > MAX_ENTITIES
    return NerOutput(entities=tuple(entities[:MAX_ENTITIES]), truncated=truncated)


def _moved(entity: Entity, masked: Masked, start: int, end: int) -> Entity:
    return entity.model_copy(update={"start": start, "end": end, "text": masked.original[start:end]})
