"""What a task gives: one output model a task."""

from typing import Annotated

from pydantic import Field

from sprat_contracts.base import Part, Probability


class Alternative(Part):
    """A label that was considered."""

    label: Annotated[str, Field(description="An announced label.")]
    probability: Annotated[Probability, Field(description="Calibrated chance that this label is right, 0–1.")]


class IntentOutput(Part):
    """What the writer of a text wants."""

    label: Annotated[str | None, Field(description="The intent; null means outside every known intent.")]
    alternatives: Annotated[
        tuple[Alternative, ...], Field(description="The likeliest labels, best first, at most three are written.")
    ] = ()


class Entity(Part):
    """A named thing in a text."""

    start: Annotated[int, Field(ge=0, description="First character, in Unicode code points of the text, from 0.")]
    end: Annotated[int, Field(ge=1, description="One past the last character, in Unicode code points.")]
    text: Annotated[str, Field(min_length=1, description="text[start:end].")]
    label: Annotated[str, Field(min_length=1, description="PER, ORG, LOC, MISC, EMAIL, IBAN, …: an open list.")]
    probability: Annotated[
        Probability | None, Field(description="Chance that span and label are right, 0–1; null from a frontier model.")
    ] = None


class NerOutput(Part):
    """The named entities of a text."""

    entities: Annotated[tuple[Entity, ...], Field(max_length=1000, description="In order of their start.")]
    truncated: Annotated[bool, Field(description="True when more than 1,000 were found; the rest is left out.")] = False


class TranslationOutput(Part):
    """A text in another language."""

    text: Annotated[str, Field(description="The translation; paragraphs of the source are kept.")]
    target: Annotated[str, Field(description="Language of the translation, BCP 47.")]


Output = IntentOutput | NerOutput | TranslationOutput
"""The models are told apart by their mandatory fields: `label`, `entities`, `text` with `target`."""

OUTPUTS: dict[str, type[IntentOutput] | type[NerOutput] | type[TranslationOutput]] = {
    "intent": IntentOutput,
    "ner": NerOutput,
    "translation": TranslationOutput,
}
