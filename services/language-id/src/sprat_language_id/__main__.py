"""The language service: settings → model → handler → run."""

from importlib.metadata import version
from pathlib import Path

from sprat.base.settings import ServiceSettings
from sprat.base.thresholds import THRESHOLDS
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_inference.serving import ModelSection, find_thresholds_file, load_model, serve_model
from sprat_language_id.handler import LanguageIdHandler
from sprat_language_id.model import LanguageIdModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"


class LanguageIdSection(ModelSection):
    """The settings `SPRAT_LANGUAGE_ID__…`."""

    artefact: Path = SHIPPED


class LanguageIdSettings(ServiceSettings):
    """All settings of the service."""

    language_id: LanguageIdSection = LanguageIdSection()


async def build(context: ServiceContext, settings: LanguageIdSettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    section = settings.language_id
    model = load_model(LanguageIdModel.load, section, context.name)
    thresholds = find_thresholds_file(model.card, section.thresholds, section.artefact / THRESHOLDS, context.name)
    return await serve_model(context, model, section.model, LanguageIdHandler, thresholds)


if __name__ == "__main__":
    raise SystemExit(
        run_service(
            "language-id",
            version("sprat-language-id"),
            LanguageIdSettings,
            build,
            lambda settings: settings.language_id.model,
        )
    )
