"""Announcements of the models that are shipped, with their whole cards and thresholds."""

from collections.abc import Iterator
from pathlib import Path

from sprat_contracts import Envelope, Record, Topics, Traceparent, encode
from sprat_contracts.thresholds import Thresholds
from sprat_inference.card import Card
from sprat_inference.serving import announcement

_CARDS = "services/*/src/*/artefacts/*/card.json"
_OWNS_FROM = 1_764_000_000_000


def announcements(topics: Topics) -> Iterator[Record]:
    """Give one for each, as its service writes it."""
    for file in sorted(Path(__file__).parents[2].glob(_CARDS)):
        card = Card.model_validate_json(file.read_bytes())
        judged = file.with_name("thresholds.json")
        thresholds = Thresholds.model_validate_json(judged.read_bytes()) if judged.exists() else None
        name = file.parent.name
        model = announcement(card, name, thresholds).model_copy(update={"owns_from": _OWNS_FROM})
        source = f"/{topics.prefix}/{card.task}"
        value, headers = encode(model, Envelope(card.version, source, Traceparent.root(source, card.version)))
        yield Record(topics.models, 0, 0, 0, f"{card.task}/{name}".encode(), value, tuple(headers))
