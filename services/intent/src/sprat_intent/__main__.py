"""The intent service: settings → model → handler → run."""

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
from sprat_intent.handler import IntentHandler
from sprat_intent.model import IntentModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"
"""On the multilingual encoder. `en-fast` beside it is for English alone, at half the cost."""


class IntentSection(Section):
    """The settings `SPRAT_INTENT__…`."""

    artefact: Annotated[Path, Field(description="Folder of the model.")] = SHIPPED
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


class IntentSettings(ServiceSettings):
    """All settings of the service."""

    intent: IntentSection = IntentSection()


async def build(chassis: Chassis, settings: IntentSettings) -> Subscription:
    """Load the model, announce it, and wire the loop."""
    try:
        model = IntentModel.load(settings.intent.artefact, threads=settings.intent.threads)
    except BrokenArtefact as error:
        raise UserError(f"SPRAT_INTENT__ARTEFACT: {error}") from None
    return await serve_model(chassis, model, settings.intent.model, IntentHandler)


if __name__ == "__main__":
    raise SystemExit(run_service("intent", version("sprat-intent"), IntentSettings, build))
