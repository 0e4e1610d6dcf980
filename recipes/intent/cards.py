"""The two artefacts that the recipe makes: their sources, and the texts of their cards."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.common import card_texts
from sprat_encoder import ARTEFACT as E5
from sprat_encoder import MINILM
from sprat_inference.artefact import load_part
from sprat_training.fitting.lexical_gate import FOLDS, MARGIN

MAX_TOKENS = 128
OUTSIDE_SHARE = 0.1
KEPT_RIGHT = 0.97


@dataclass(frozen=True, slots=True)
class ArtefactKind:
    """One of the artefacts that the recipe makes."""

    name: str
    languages: tuple[str, ...]
    calibrated: tuple[str, ...]
    """Languages, apart from English, with a calibration of their own."""
    licence: str
    encoder: Path
    """The folder of the shared part."""
    made_of: tuple[dict[str, Any], ...]
    fitted_on: str
    limits: tuple[str, ...]


_TEXTS = card_texts(
    __file__,
    folds=FOLDS,
    kept_right=KEPT_RIGHT,
    margin=MARGIN,
    max_tokens=MAX_TOKENS,
    outside_share=OUTSIDE_SHARE,
)
KEEP_AT_RULE = _TEXTS["keep_at_rule"]
LEXICAL_RULE = _TEXTS["lexical_rule"]


def _encoder_of(folder: Path) -> dict[str, Any]:
    """Return the work that the weights of a shared part are from."""
    return load_part(folder).made_of[0].model_dump()


EN_FAST = ArtefactKind(
    name="en-fast",
    languages=("en",),
    calibrated=(),
    licence="Apache-2.0 AND CC-BY-3.0",
    encoder=MINILM,
    made_of=(_encoder_of(MINILM), _TEXTS["clinc150"]),
    fitted_on=_TEXTS["fitted_on"],
    limits=_TEXTS["limits_en_fast"] + _TEXTS["limits"],
)

DEFAULT = ArtefactKind(
    name="default",
    languages=load_part(E5).languages,
    calibrated=("de", "fr"),
    licence="MIT AND CC-BY-3.0",
    encoder=E5,
    made_of=(_encoder_of(E5), _TEXTS["clinc150"], _TEXTS["queries"]),
    fitted_on=_TEXTS["fitted_on"] + _TEXTS["fitted_on_default"],
    limits=_TEXTS["limits_default"] + _TEXTS["limits"],
)

KINDS = {kind.name: kind for kind in (DEFAULT, EN_FAST)}
