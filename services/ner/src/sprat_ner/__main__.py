"""The NER service: the models of its recipe, and those that `sprat models add` makes."""

from pathlib import Path
from typing import Final

from sprat_inference.serving import Specialist
from sprat_inference.token_classifier import READERS
from sprat_ner.added import AddedNerModel
from sprat_ner.model import OWN_READERS, NerModel

SHIPPED: Final = Path(__file__).parent / "artefacts" / "default"
SERVICE: Final = Specialist[NerModel | AddedNerModel](
    "ner",
    {**dict.fromkeys(OWN_READERS, NerModel.load), **dict.fromkeys(READERS, AddedNerModel.load)},
    SHIPPED,
)

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
