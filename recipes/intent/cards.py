"""The two artefacts that the recipe makes: their sources, and the texts of their cards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.common import card_texts
from recipes.intent.minilm import FILES, MAX_TOKENS, PACKAGE, write_encoder
from sprat_encoder import ARTEFACT as SHARED
from sprat_encoder import identify
from sprat_inference.artefact import load_part
from sprat_inference.card import PartRef
from sprat_inference.encoder import SentenceEncoder
from sprat_training.fitting.lexical_gate import FOLDS, MARGIN

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
    encoder: Callable[[Path, Path], tuple[SentenceEncoder, PartRef | None]]
    """From the cache and the folder of the artefact: the encoder, and its reference if it is a shared part."""
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
    package=PACKAGE,
    sha256=FILES["model.safetensors"],
)
KEEP_AT_RULE = _TEXTS["keep_at_rule"]
LEXICAL_RULE = _TEXTS["lexical_rule"]


def _shared_encoder(_cache: Path, _folder: Path) -> tuple[SentenceEncoder, PartRef]:
    return SentenceEncoder.load(SHARED, max_tokens=MAX_TOKENS), identify()


EN_FAST = ArtefactKind(
    name="en-fast",
    languages=("en",),
    calibrated=(),
    licence="Apache-2.0 AND CC-BY-3.0",
    encoder=write_encoder,
    made_of=(_TEXTS["minilm"], _TEXTS["clinc150"]),
    fitted_on=_TEXTS["fitted_on"],
    limits=_TEXTS["limits_en_fast"] + _TEXTS["limits"],
)

_ENCODER_CARD = load_part(SHARED)

DEFAULT = ArtefactKind(
    name="default",
    languages=_ENCODER_CARD.languages,
    calibrated=("de", "fr"),
    licence="MIT AND CC-BY-3.0",
    encoder=_shared_encoder,
    made_of=(*(work.model_dump() for work in _ENCODER_CARD.made_of[:1]), _TEXTS["clinc150"], _TEXTS["queries"]),
    fitted_on=_TEXTS["fitted_on"] + _TEXTS["fitted_on_default"],
    limits=_TEXTS["limits_default"] + _TEXTS["limits"],
)

KINDS = {kind.name: kind for kind in (DEFAULT, EN_FAST)}
