"""Start a service with a small model: load it, announce it, and answer the texts that it owns."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import Field

from sprat.channels import specialist_channels
from sprat.context import ServiceContext, Subscription
from sprat.errors import UserError
from sprat.kafka.offsets import set_initial_offsets
from sprat.processing.cached_inference import CachedInference, Inference
from sprat.registry.announcements import ModelsReader, announce
from sprat.registry.model_table import model_key
from sprat.registry.retirement import READ_EVERY_S, Ends, RetirementFollower
from sprat.settings import Section, section_prefix
from sprat_contracts import ModelAnnounced, Topics
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card, SpecialistModel
from sprat_inference.instruction_set import instruction_set
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import classifier

log = logging.getLogger(__name__)

HandlerFactory = Callable[[Topics, Card, str, int, Ends, str], SpecialistHandler]
"""Makes a handler from topics, card, the model's name, the bounds of its ownership (`owns_from` and `left`), and the
installation's default language."""


Model_co = TypeVar("Model_co", covariant=True)


class ModelSection(Section):
    """The settings of a service with a small model; each service sets the default of `artefact`."""

    artefact: Annotated[Path, Field(description="Folder of the model.")]
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


class ModelLoader(Protocol[Model_co]):
    """Loads a model from its folder."""

    def __call__(self, folder: Path, /, *, threads: int) -> Model_co:
        """Load the model.

        Raises:
            BrokenArtefact: when the artefact cannot be used.
        """


def load_model(load: ModelLoader[Model_co], section: ModelSection, service: str) -> Model_co:
    """Load the detector of languages, and the model that the settings of a service name.

    Raises:
        UserError: when the artefact cannot be used; the message names the setting.
    """
    classifier()  # before the model: while the detector of languages is loaded, it takes twice the memory it keeps
    try:
        model = load(section.artefact, threads=section.threads)
    except BrokenArtefact as error:
        raise UserError(f"{section_prefix(service)}ARTEFACT: {error}") from None
    log.info("model loaded, threads: %d, instruction set: %s", section.threads, instruction_set())
    return model


async def serve_model(
    context: ServiceContext,
    model: SpecialistModel,
    name: str,
    handler_factory: HandlerFactory,
    *,
    read_models_every_s: float = READ_EVERY_S,
) -> Subscription:
    """Probe the model, announce it as `task/name`, and return the subscription that answers the texts it owns.

    The consumer group starts at the first text of the model's ownership.

    Raises:
        Fatal: when a topic does not exist.
        ModelError: when the model is broken.
    """
    model.probe()
    classifier()  # loaded now, not at the first text
    card = model.card
    kafka = context.settings.kafka
    await context.wait_for_topics(context.topics.models, context.topics.texts)
    ownership = await announce(kafka, context.publisher, announcement(card, name), context.name, context.signatures)
    group = f"{context.group}.{name}"
    await set_initial_offsets(kafka, group, context.topics.texts, ownership.owns_from)
    inference = Inference(model)
    context.stack.callback(inference.close)
    default_language = context.settings.default_language
    handler = handler_factory(context.topics, card, name, ownership.owns_from, ownership.left, default_language)
    cached_inference = CachedInference(
        handler, model, inference, context.cache, context.keyed_hash, context.topics.tasks
    )
    retirement = RetirementFollower(model_key(card.task, name), ownership.owns_from, read_every_s=read_models_every_s)
    reader = ModelsReader(
        kafka, context.signatures, lambda seen: retirement.apply(seen.key, seen.announced, seen.retirement)
    )
    context.stack.push_async_callback(reader.stop)
    await retirement.start(reader)
    loop = context.batch_loop(handler, cached_inference, retirement.refresh, retirement.owns, handler.may_ask)
    channels = specialist_channels(card.task, context.topics)
    return Subscription(channels, group, loop.handle, loop.release, card.version)


def announcement(card: Card, name: str) -> ModelAnnounced:
    """Return the announcement of a model, without `owns_from`: that is set when it is announced."""
    return ModelAnnounced(
        task=card.task,
        model=name,
        version=card.version,
        labels=card.labels,
        label_set=card.label_set,
        languages=card.languages,
        targets=card.targets,
        card=card.model_dump(mode="json"),
    )
