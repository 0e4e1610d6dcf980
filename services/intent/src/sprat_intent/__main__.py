"""The intent service: settings → model → handler → run."""

from importlib.metadata import version
from pathlib import Path

from sprat.base.settings import ServiceSettings
from sprat.base.thresholds import THRESHOLDS
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_inference.serving import ModelSection, find_thresholds_file, load_model, serve_model
from sprat_intent.handler import IntentHandler
from sprat_intent.model import IntentModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"
"""The default model, on the multilingual encoder. `en-fast`, beside it, is for English only, at half the cost."""


class IntentSection(ModelSection):
    """The settings `SPRAT_INTENT__…`."""

    artefact: Path = SHIPPED


class IntentSettings(ServiceSettings):
    """All settings of the service."""

    intent: IntentSection = IntentSection()


async def build(context: ServiceContext, settings: IntentSettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    section = settings.intent
    model = load_model(IntentModel.load, section, context.name)
    thresholds = find_thresholds_file(model.card, section.thresholds, section.artefact / THRESHOLDS, context.name)
    return await serve_model(context, model, section.model, IntentHandler, thresholds)


if __name__ == "__main__":
    raise SystemExit(
        run_service("intent", version("sprat-intent"), IntentSettings, build, lambda settings: settings.intent.model)
    )
