"""The NER service: settings → model → handler → run."""

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
from sprat_ner.handler import NerHandler
from sprat_ner.model import NerModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"


class NerSection(Section):
    """The settings `SPRAT_NER__…`."""

    artefact: Annotated[Path, Field(description="Folder of the model.")] = SHIPPED
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


class NerSettings(ServiceSettings):
    """All settings of the service."""

    ner: NerSection = NerSection()


async def build(chassis: Chassis, settings: NerSettings) -> Subscription:
    """Load the model, announce it, and wire the loop."""
    try:
        model = NerModel.load(settings.ner.artefact, threads=settings.ner.threads)
    except BrokenArtefact as error:
        raise UserError(f"SPRAT_NER__ARTEFACT: {error}") from None
    return await serve_model(chassis, model, settings.ner.model, NerHandler)


if __name__ == "__main__":
    raise SystemExit(run_service("ner", version("sprat-ner"), NerSettings, build))
