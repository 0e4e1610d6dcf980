"""The service of language identification."""

from pathlib import Path
from typing import Final

from sprat_inference.serving import Specialist
from sprat_language_id.model import READER, LanguageIdModel

SHIPPED: Final = Path(__file__).parent / "artefacts" / "default"
SERVICE: Final = Specialist("language-id", {READER: LanguageIdModel.load}, SHIPPED)

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
