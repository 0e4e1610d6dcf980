"""The NER service: settings → model → handler → run."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sprat.base.settings import ServiceSettings
from sprat.base.thresholds import THRESHOLDS
from sprat.context import ServiceContext, Subscription
from sprat.runtime import run_service
from sprat_inference.artefact import load_artefact
from sprat_inference.card import SpecialistModel
from sprat_inference.serving import ModelSection, find_thresholds_file, load_model, serve_model
from sprat_inference.token_classifier import READERS
from sprat_ner.added import AddedNerModel
from sprat_ner.handler import NerHandler
from sprat_ner.model import READER, NerModel

SHIPPED = Path(__file__).parent / "artefacts" / "default"
"""The default model."""


class NerSection(ModelSection):
    """The settings `SPRAT_NER__…`."""

    artefact: Path = SHIPPED


class NerSettings(ServiceSettings):
    """All settings of the service."""

    ner: NerSection = NerSection()


MODELS: Final[Mapping[str, Callable[[Path, int], SpecialistModel]]] = {
    READER: NerModel.load,
    **dict.fromkeys(READERS, AddedNerModel.load),
}
"""`reader` of a card → what loads such an artefact."""


def load(folder: Path, threads: int = 1) -> SpecialistModel:
    """Load the model in `folder`, of either kind.

    Raises:
        BrokenArtefact: when the artefact cannot be served.
    """
    return MODELS[load_artefact(folder, reader=tuple(MODELS)).card.reader](folder, threads)


async def build(context: ServiceContext, settings: NerSettings) -> Subscription:
    """Load the model, announce it, and return its subscription."""
    section = settings.ner
    model = load_model(load, section, context.name)
    thresholds = find_thresholds_file(model.card, section.thresholds, section.artefact / THRESHOLDS, context.name)
    return await serve_model(context, model, section.model, NerHandler, thresholds)


if __name__ == "__main__":
    raise SystemExit(run_service("ner", version("sprat-ner"), NerSettings, build, lambda settings: settings.ner.model))
