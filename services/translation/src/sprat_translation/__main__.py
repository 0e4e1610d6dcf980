"""The translation service: settings → model → handler → run."""

from importlib.metadata import version
from pathlib import Path

from sprat.base.settings import ServiceSettings
from sprat.base.thresholds import THRESHOLDS
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_inference.serving import ModelSection, find_thresholds_file, load_model, serve_model
from sprat_translation.handler import TranslationHandler
from sprat_translation.model import TranslationModel

SHIPPED = Path(__file__).parent / "artefacts" / "en-de"
"""The default model."""


class TranslationSection(ModelSection):
    """The settings `SPRAT_TRANSLATION__…`."""

    artefact: Path = SHIPPED


class TranslationSettings(ServiceSettings):
    """All settings of the service."""

    translation: TranslationSection = TranslationSection()


async def build(context: ServiceContext, settings: TranslationSettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    section = settings.translation
    model = load_model(TranslationModel.load, section, context.name)
    thresholds = find_thresholds_file(model.card, section.thresholds, section.artefact / THRESHOLDS, context.name)
    return await serve_model(context, model, section.model, TranslationHandler, thresholds)


if __name__ == "__main__":
    raise SystemExit(
        run_service(
            "translation",
            version("sprat-translation"),
            TranslationSettings,
            build,
            lambda settings: settings.translation.model,
        )
    )
