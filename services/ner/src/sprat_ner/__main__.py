"""The NER service: settings → model → handler → run."""

from importlib.metadata import version
from pathlib import Path

from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat.settings import ServiceSettings
from sprat_inference.serving import ModelSection, load_model, serve_model
from sprat_ner.handler import NerHandler
from sprat_ner.model import NerModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"
"""The default model."""


class NerSection(ModelSection):
    """The settings `SPRAT_NER__…`."""

    artefact: Path = SHIPPED


class NerSettings(ServiceSettings):
    """All settings of the service."""

    ner: NerSection = NerSection()


async def build(context: ServiceContext, settings: NerSettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    section = settings.ner
    model = load_model(NerModel.load, section, context.name)
    return await serve_model(context, model, section.model, NerHandler)


if __name__ == "__main__":
    raise SystemExit(run_service("ner", version("sprat-ner"), NerSettings, build, lambda settings: settings.ner.model))
