"""Start a service with a small model: load it, announce it, and answer the texts that it owns."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, create_model

from sprat import runtime
from sprat.base.channels import specialist_channels
from sprat.base.errors import UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import Section, ServiceSettings, section_field, section_prefix
from sprat.base.thresholds import LOOK_EVERY_S, THRESHOLDS, ThresholdsFile
from sprat.context import ServiceContext, Subscription
from sprat.kafka.offsets import set_initial_offsets
from sprat.processing.batch_steps import Refresh
from sprat.processing.cached_inference import CachedInference, Inference
from sprat.registry.announcements import ModelsReader, Ownership, announce, announce_again, announcement_record
from sprat.registry.model_table import model_key
from sprat.registry.retirement import READ_EVERY_S, Ends, RetirementFollower
from sprat.telemetry import signals
from sprat_contracts import ModelAnnounced, Topics
from sprat_contracts.thresholds import Thresholds
from sprat_inference.artefact import BrokenArtefact, reader_of
from sprat_inference.card import Card, SpecialistModel
from sprat_inference.processor import instruction_set
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import classifier

log = logging.getLogger(__name__)

MOST_ANNOUNCED = 63 << 10
"""Bytes of an announcement before its ownership is known; with it, 64 KiB are enough."""

HandlerFactory = Callable[[Topics, Card, str, int, Ends, str], SpecialistHandler]
"""Makes a handler from topics, card, the model's name, the bounds of its ownership (`owns_from` and `left`), and the
installation's default language."""

M = TypeVar("M", bound=SpecialistModel)

Artefact = Annotated[Path, Field(description="Folder of the model.")]


class ModelSection(Section):
    """The settings of every service with a small model, beside the folder of the model."""

    model: Annotated[str, Field(description="The name by which texts ask for it.")] = DEFAULT_MODEL
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1
    thresholds: Annotated[
        Path | None,
        Field(description="File of its thresholds. Default: `thresholds.json` in the model's folder."),
    ] = None


class Specialist(Generic[M]):
    """A service with a small model. The folder of a service declares one, as `SERVICE` of its `__main__`.

    `SPRAT_INTENT__…` are the settings of the service `intent`: those of :class:`ModelSection`, and `artefact`.
    """

    def __init__(
        self,
        name: str,
        readers: Mapping[str, Callable[[Path, int], M]],
        shipped: Path | None = None,
        handler: type[SpecialistHandler] = SpecialistHandler,
    ) -> None:
        """Declare the service.

        Args:
            name: of the service, and of the task that its models answer.
            readers: `reader` of a card → what loads a folder with such a card, to run in so many threads.
            shipped: folder of the model that is served where the settings name none.
            handler: of its texts, where it decides more than every specialist does.
        """
        self.name = name
        self.readers = readers
        self.shipped = shipped
        self.handler = handler
        self.settings = self.settings_type()

    def settings_type(self) -> type[ServiceSettings]:
        """Return the class of the settings."""
        words = "".join(map(str.capitalize, self.name.split("-")))
        fields: dict[str, Any] = {"artefact": (Artefact, self.shipped)}
        section = create_model(f"{words}Section", __base__=ModelSection, **fields)
        own: dict[str, Any] = {section_field(self.name): (section, section())}
        return create_model(f"{words}Settings", __base__=ServiceSettings, **own)

    def section(self, settings: Any) -> Any:
        """Return the service's own section of its settings."""
        return getattr(settings, section_field(self.name))

    def process_name(self, settings: Any) -> str:
        """Return the name of the process that has these settings."""
        return self.name

    def load(self, folder: Path, threads: int = 1) -> M:
        """Load the model in a folder by the reader that its card names.

        Raises:
            BrokenArtefact: when the folder cannot be served.
        """
        return self.readers[reader_of(folder, tuple(self.readers))](folder, threads)

    def load_named(self, folder: Path, threads: int) -> M:
        """Load the detector of languages, and the model in the folder that the setting `artefact` names.

        Raises:
            UserError: when the folder cannot be served; the message names the setting.
        """
        classifier()  # before the model: while the detector of languages is loaded, it takes twice the memory it keeps
        try:
            model = self.load(folder, threads)
        except BrokenArtefact as error:
            raise UserError(f"{section_prefix(self.name)}ARTEFACT: {error}") from None
        log.info("model loaded, threads: %d, instruction set: %s", threads, instruction_set())
        return model

    def model_of(self, settings: Any) -> SpecialistModel:
        """Load the model that the settings name.

        Raises:
            UserError: when the model cannot be used.
        """
        section = self.section(settings)
        return self.load_named(section.artefact, section.threads)

    def handler_of(self, settings: Any) -> type[SpecialistHandler]:
        """Return the handler of the texts."""
        return self.handler

    def thresholds_of(self, settings: Any, card: Card) -> ThresholdsFile:
        """Return the file with the thresholds of the model.

        Raises:
            UserError: the setting names a file that is not there.
        """
        section = self.section(settings)
        return find_thresholds_file(card, section.thresholds, section.artefact / THRESHOLDS, self.name)

    async def build(self, context: ServiceContext, settings: Any) -> Subscription:
        """Load the model, announce it, and return its subscription."""
        model = self.model_of(settings)
        thresholds = self.thresholds_of(settings, model.card)
        return await serve_model(context, model, self.section(settings).model, self.handler_of(settings), thresholds)

    def run(self) -> int:
        """Run the service until a signal stops it; return the exit code, see :func:`sprat.runtime.run_service`."""
        return runtime.run_service(
            self.name,
            version(f"sprat-{self.name}"),
            self.settings,
            self.build,
            lambda settings: str(self.section(settings).model),
            self.process_name,
        )


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
    refresh = Refresh(retirement.refresh, retirement.is_due)
    loop = context.batch_loop(handler, cached_inference, refresh, retirement.owns, handler.may_ask)
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
