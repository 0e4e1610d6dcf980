"""Start a service with a small model: load it, announce it, and answer the texts that it owns."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import Field

from sprat.base.channels import specialist_channels
from sprat.base.errors import UserError
from sprat.base.settings import Section, section_prefix
from sprat.base.thresholds import LOOK_EVERY_S, ThresholdsFile
from sprat.context import ServiceContext, Subscription
from sprat.kafka.offsets import set_initial_offsets
from sprat.processing.cached_inference import CachedInference, Inference
from sprat.registry.announcements import ModelsReader, Ownership, announce, announce_again, announcement_record
from sprat.registry.model_table import model_key
from sprat.registry.retirement import READ_EVERY_S, Ends, RetirementFollower
from sprat.telemetry import signals
from sprat_contracts import ModelAnnounced, Topics
from sprat_contracts.thresholds import Thresholds
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card, SpecialistModel
from sprat_inference.instruction_set import instruction_set
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import classifier

log = logging.getLogger(__name__)

MOST_ANNOUNCED = 63 << 10
"""Bytes of an announcement before its ownership is known; with it, 64 KiB are enough."""

HandlerFactory = Callable[[Topics, Card, str, int, Ends, str], SpecialistHandler]
"""Makes a handler from topics, card, the model's name, the bounds of its ownership (`owns_from` and `left`), and the
installation's default language."""


Model_co = TypeVar("Model_co", covariant=True)


class ModelSection(Section):
    """The settings of a service with a small model; each service sets the default of `artefact`."""

    artefact: Annotated[Path, Field(description="Folder of the model.")]
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1
    thresholds: Annotated[
        Path | None,
        Field(description="File of its thresholds. Default: `thresholds.json` in the model's folder."),
    ] = None


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


def find_thresholds_file(
    card: Card, named: Path | None, beside: Path, service: str, default: Thresholds | None = None
) -> ThresholdsFile:
    """Return the file of a model's thresholds.

    Args:
        card: of the model.
        named: by the setting `thresholds` of the service: then it must be there, and `beside` is not read.
        beside: the file beside the model, which need not be there.
        service: whose setting that is.
        default: the thresholds where there is no file.

    Raises:
        UserError: the setting names a file that is not there.
    """
    if named is not None and not named.exists():
        raise UserError(f"{section_prefix(service)}THRESHOLDS: there is no file {named}; name another, or unset it")
    return ThresholdsFile(named or beside, model_version=card.version, default=default)


async def serve_model(
    context: ServiceContext,
    model: SpecialistModel,
    name: str,
    handler_factory: HandlerFactory,
    thresholds: ThresholdsFile | None = None,
    *,
    read_models_every_s: float = READ_EVERY_S,
    read_thresholds_every_s: float = LOOK_EVERY_S,
) -> Subscription:
    """Probe the model, announce it as `task/name`, and return the subscription that answers the texts it owns.

    The consumer group starts at the first text of the model's ownership. Where the file of thresholds changes, the
    answers after that are judged by it, and the model is announced again.

    Raises:
        Fatal: when a topic does not exist.
        ModelError: when the model is broken.
    """
    model.probe()
    classifier()  # loaded now, not at the first text
    card = model.card
    kafka = context.settings.kafka
    await context.wait_for_topics(context.topics.models, context.topics.texts)
    current = None if thresholds is None else thresholds.current
    announced = _announced(context, card, name, current)
    ownership = await announce(kafka, context.publisher, announced, context.name, context.signatures)
    group = f"{context.group}.{name}"
    await set_initial_offsets(kafka, group, context.topics.texts, ownership.owns_from)
    inference = Inference(model)
    context.stack.callback(inference.close)
    default_language = context.settings.default_language
    handler = handler_factory(context.topics, card, name, ownership.owns_from, ownership.left, default_language)
    _judge_by(handler, current)
    if thresholds is not None:
        _follow(context, thresholds, handler, ownership, read_thresholds_every_s)
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


def announcement(
    card: Card, name: str, thresholds: Thresholds | None = None, *, pooled: bool = False
) -> ModelAnnounced:
    """Return the announcement of a model, without `owns_from`: that is set when it is announced.

    Args:
        card: of the model.
        name: by which texts ask for it.
        thresholds: by which its answers are judged.
        pooled: without the thresholds of single languages.
    """
    return ModelAnnounced(
        task=card.task,
        model=name,
        version=card.version,
        labels=card.labels,
        label_set=card.label_set,
        languages=card.languages,
        targets=card.targets,
        card=card.model_dump(mode="json"),
        thresholds=None if thresholds is None else thresholds.announced(pooled=pooled),
    )


def _announced(context: ServiceContext, card: Card, name: str, thresholds: Thresholds | None) -> ModelAnnounced:
    """Return the announcement; without the thresholds of single languages where it is too large with them."""
    announced = announcement(card, name, thresholds)
    size = announcement_record(context.topics, announced, context.name, None, context.signatures).size
    if thresholds is None or size <= MOST_ANNOUNCED:
        return announced
    log.warning(
        "thresholds %s are announced without those of single languages: too large", thresholds.thresholds_version
    )
    return announcement(card, name, thresholds, pooled=True)


def _judge_by(handler: SpecialistHandler, thresholds: Thresholds | None) -> None:
    """Let the handler judge its answers from now on by these thresholds."""
    handler.thresholds = thresholds
    if thresholds is None:
        log.info("the model has no thresholds: its answers carry no levels")
        return
    log.info("thresholds: %s, certified: %s", thresholds.thresholds_version, thresholds.certificate is not None)
    labels = {
        "task": handler.card.task,
        "model": handler.model,
        "model_version": handler.card.version,
        "thresholds_version": thresholds.thresholds_version,
    }
    signals.THRESHOLDS.replace([(1, labels)])


def _follow(
    context: ServiceContext, file: ThresholdsFile, handler: SpecialistHandler, ownership: Ownership, every_s: float
) -> None:
    """Take a changed file over until the service stops."""

    async def take_over(thresholds: Thresholds) -> None:
        _judge_by(handler, thresholds)
        announced = _announced(context, handler.card, handler.model, thresholds)
        owned = announced.model_copy(update={"owns_from": ownership.owns_from})
        await announce_again(context.settings.kafka, context.publisher, owned, context.name, context.signatures)

    def ended(following: asyncio.Task[None]) -> None:
        if not following.cancelled() and (error := following.exception()) is not None:
            context.failure.report(error)

    async def end() -> None:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    following = asyncio.create_task(file.follow(take_over, every_s), name="thresholds")
    following.add_done_callback(ended)
    context.stack.push_async_callback(end)
