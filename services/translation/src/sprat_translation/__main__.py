"""The translation service: settings → model → handler → run."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sprat.chassis import Chassis, Subscription
from sprat.errors import UserError
from sprat.models import BrokenArtefact
from sprat.service import run_service
from sprat.serving import serve_model
from sprat.settings import Section, ServiceSettings
from sprat_translation.handler import TranslationHandler
from sprat_translation.model import TranslationModel

SHIPPED = Path(__file__).parent / "artefacts" / "en-de"


class TranslationSection(Section):
    """The settings `SPRAT_TRANSLATION__…`."""

    artefact: Annotated[Path, Field(description="Folder of the model.")] = SHIPPED
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


class TranslationSettings(ServiceSettings):
    """All settings of the service."""

    translation: TranslationSection = TranslationSection()


async def build(chassis: Chassis, settings: TranslationSettings) -> Subscription:
    """Load the model, announce it, and wire the loop."""
    section = settings.translation
    try:
        model = TranslationModel.load(section.artefact, threads=section.threads)
    except BrokenArtefact as error:
        raise UserError(f"SPRAT_TRANSLATION__ARTEFACT: {error}") from None
    return await serve_model(chassis, model, section.model, TranslationHandler)


if __name__ == "__main__":
    raise SystemExit(run_service("translation", version("sprat-translation"), TranslationSettings, build))
