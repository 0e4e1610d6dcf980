"""Turn an answer about a masked text into an answer about the original."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sprat_contracts import Entity, NerOutput, Output, TextOutput, TranslationOutput
from sprat_privacy.entity_types import ner_label
from sprat_privacy.errors import NotRestorable
from sprat_privacy.masked_text import MaskedSpan, MaskedText, lookalikes_in, placeholders_in

MAX_ENTITIES = 1000
"""The contract's limit."""


def restore(output: Output, masked: MaskedText) -> Output:
    """Return the answer as if the question had been about the original.

    An intent is returned unchanged. In a translation each placeholder is replaced by its value. Entities get their
    offsets in the original, and masked spans are added as entities. A text that a model has written may leave
    placeholders out.

    Raises:
        NotRestorable: a translation lacks a placeholder of the text or has one too many; or an entity is not in the
            masked text.
    """
    if isinstance(output, TranslationOutput):
        return output.model_copy(update={"text": restore_text(output.text, masked)})
    if isinstance(output, NerOutput):
        return _restore_entities(output, masked)
    if isinstance(output, TextOutput):
        return output.model_copy(update={"content": restore_written(output.content, masked)})
    return output


def restore_written(text: str, masked: MaskedText) -> str:
    """Replace the placeholders that a text about the masked one holds by their values; it may leave some out.

    A value that was written in several ways gets the first of them.

    Raises:
        NotRestorable: the text holds a placeholder that the masked text does not hold, or one in another form.
    """
    received, sent = placeholders_in(text), placeholders_in(masked.text)
    changed = Counter(lookalikes_in(text)) - Counter(lookalikes_in("".join(received)))
    theirs = Counter(lookalikes_in(masked.text)) - Counter(lookalikes_in("".join(sent)))
    if {*received} - {*sent} or {*changed} - {*theirs}:
        raise NotRestorable("the answer holds a placeholder that the text does not hold")
    values = {placeholder: forms[0] for placeholder, forms in masked.forms().items()}
    pieces: list[str] = []
    last = 0
    for placeholder in received:
        at = text.index(placeholder, last)
        pieces += (text[last:at], values.get(placeholder, placeholder))
        last = at + len(placeholder)
    return "".join((*pieces, text[last:]))


def restore_text(text: str, masked: MaskedText) -> str:
    """Replace the placeholders by their values.

    If one value was written in several ways, its first placeholder becomes the first way, its second the second: the
    masked text itself is restored exactly. If the answer changed their order, each is still a form of the same value.

    Raises:
        NotRestorable: the placeholders are not those of the masked text, each as often. One in other case or with
            other spaces counts as lost.
    """
    received, sent = placeholders_in(text), placeholders_in(masked.text)
    if Counter(received) != Counter(sent) or Counter(lookalikes_in(text)) != Counter(lookalikes_in(masked.text)):
        raise NotRestorable("the answer does not hold each placeholder as often as the text")
    forms = {placeholder: iter(values) for placeholder, values in masked.forms().items()}
    pieces: list[str] = []
    last = 0
    for placeholder in received:
        at = text.index(placeholder, last)
        # A placeholder without a value was in the original already.
        pieces += (text[last:at], next(forms[placeholder]) if placeholder in forms else placeholder)
        last = at + len(placeholder)
    return "".join((*pieces, text[last:]))


@dataclass(slots=True)
class _OffsetMap:
    """Maps offsets in the masked text to offsets in the original."""

    masked: MaskedText
    starts: Sequence[int]
    ends: Sequence[int]
    changes: Sequence[MaskedSpan]
    change_ends: Sequence[int]

    @classmethod
    def of(cls, masked: MaskedText) -> "_OffsetMap":
        """Return the map of a masked text."""
        spans, changes = masked.spans, masked.changes
        starts, ends = [span.at for span in spans], [span.after for span in spans]
        return cls(masked, starts, ends, changes, [change.after for change in changes])

    def touched(self, start: int, end: int) -> Sequence[MaskedSpan]:
        """Return the spans whose placeholders overlap a stretch of the masked text."""
        return self.masked.spans[bisect_right(self.ends, start) : bisect_left(self.starts, end)]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the original span of one whose edges are outside the placeholders or at the edge of one."""
        passed = bisect_right(self.change_ends, end)
        if passed and self.changes[passed - 1].at == end:
            passed -= 1  # what was dropped directly after the span is no part of it
        return self._moved(start, bisect_right(self.change_ends, start)), self._moved(end, passed)

    def _moved(self, at: int, passed: int) -> int:
        """Return the original offset of one after so many changes."""
        if not passed:
            return at
        before = self.changes[passed - 1]
        return before.end + at - before.after


def _restore_entities(output: NerOutput, masked: MaskedText) -> NerOutput:
    """Move entities to the original and add the masked spans.

    An entity that overlaps a placeholder is widened to contain it. It is kept if all that is masked in it has the
    entity's label (`Dr. [PERSON_1]`, a person); otherwise the entity is dropped and the masked spans are entities of
    their own.
    """
    spans = masked.spans
    offsets = _OffsetMap.of(masked)
    entities: list[Entity] = []
    covered: set[int] = set()
    for entity in output.entities:
        if masked.text[entity.start : entity.end] != entity.text:
            raise NotRestorable("an entity is not in the masked text")
        touched = offsets.touched(entity.start, entity.end)
        if any(ner_label(span.type) != entity.label or span.start in covered for span in touched):
            continue
        covered.update(span.start for span in touched)
        start, end = entity.start, entity.end
        if touched:
            start, end = min(start, touched[0].at), max(end, touched[-1].after)
        entities.append(_move(entity, masked, *offsets.original(start, end)))
    entities += (
        Entity(start=span.start, end=span.end, text=masked.value(span), label=ner_label(span.type))
        for span in spans
        if span.start not in covered
    )
    entities.sort(key=lambda entity: (entity.start, -entity.end))
    truncated = output.truncated or len(entities) > MAX_ENTITIES
    return NerOutput(entities=tuple(entities[:MAX_ENTITIES]), truncated=truncated)


def _move(entity: Entity, masked: MaskedText, start: int, end: int) -> Entity:
    return entity.model_copy(update={"start": start, "end": end, "text": masked.original[start:end]})
