"""Models as the chassis sees them: what it asks, artefacts and their cards.

The runtime on CTranslate2 is `sprat.models.encoder`, of the extra `sprat[models]`: services without a model, like the
router, do not load it.
"""

from sprat.models._threads import PINNED_IN_TIME, PINS, pin_threads
from sprat.models.artefact import Artefact, content_hash, load_artefact, load_part, write_artefact, write_part
from sprat.models.card import Calibration, Card, Part, PartCard, Score, Work, label_set_hash
from sprat.models.errors import BrokenArtefact, ModelError
from sprat.models.question import Answer, Model, Question

__all__ = [
    "PINNED_IN_TIME",
    "PINS",
    "Answer",
    "Artefact",
    "BrokenArtefact",
    "Calibration",
    "Card",
    "Model",
    "ModelError",
    "Part",
    "PartCard",
    "Question",
    "Score",
    "Work",
    "content_hash",
    "label_set_hash",
    "load_artefact",
    "load_part",
    "pin_threads",
    "write_artefact",
    "write_part",
]
