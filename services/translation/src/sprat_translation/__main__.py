"""The translation service."""

from pathlib import Path
from typing import Final

from sprat_inference.serving import Specialist
from sprat_translation.handler import TranslationHandler
from sprat_translation.model import READERS, TranslationModel

SHIPPED: Final = Path(__file__).parent / "artefacts" / "en-de"
SERVICE: Final = Specialist("translation", dict.fromkeys(READERS, TranslationModel.load), SHIPPED, TranslationHandler)

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
