"""How a service with a small model is wired: announce, own, answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import Field

from sprat.channels import Channels
from sprat.context import ServiceContext, Subscription
from sprat.errors import UserError
from sprat.kafka.initial_offsets import set_initial_offsets
from sprat.model import Model
from sprat.processing.cached_inference import CachedInference, Inference
from sprat.registry.announcements import announce
from sprat.registry.model_table import model_key
from sprat.registry.retirement import Ends
from sprat.registry.retirement_watch import RetirementWatch
from sprat.settings import Section
from sprat_contracts import ModelAnnounced, Prediction, TextSubmitted, Topics
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card
from sprat_inference.specialist import Specialist

MakeHandler = Callable[[Topics, Card, str, int, Ends], Specialist]
"""Topics, card, the name that texts ask for, and what is the model's own: `owns_from` and `left`."""


class CardedModel(Model, Protocol):
    """A model with the card of its artefact."""

    @property
    def card(self) -> Card:
        """Return the card."""


Loaded_co = TypeVar("Loaded_co", covariant=True)


class ModelSection(Section):
    """The settings of a service with a small model; the service gives the artefact its default."""

    artefact: Annotated[Path, Field(description="Folder of the model.")]
    model: Annotated[str, Field(description="The name by which texts ask for it.")] = "default"
    threads: Annotated[int, Field(ge=1, le=64, description="Threads that run the model.")] = 1


class Load(Protocol[Loaded_co]):
    """How a model comes out of its folder."""

    def __call__(self, folder: Path, /, *, threads: int) -> Loaded_co:
        """Load it.

        Raises:
            BrokenArtefact: it cannot be used.
        """


def load_model(load: Load[Loaded_co], section: ModelSection, service: str) -> Loaded_co:
    """Load the model that the settings of a service name.

    Raises:
        UserError: it cannot be used.
    """
    try:
        return load(section.artefact, threads=section.threads)
    except BrokenArtefact as error:
        raise UserError(f"SPRAT_{service.upper()}__ARTEFACT: {error}") from None


async def serve_model(
    chassis: ServiceContext, model: CardedModel, name: str, make_handler: MakeHandler
) -> Subscription:
    """Announce a probed model as `task/name`, start its group where its ownership begins, and wire its loop.

    Raises:
        Fatal: a topic does not exist.
        ModelError: the model is broken.
    """
    model.probe()
    card = model.card
    kafka = chassis.settings.kafka
    ownership = await announce(kafka, chassis.publisher, announcement(card, name), chassis.name)
    group = f"{chassis.group}.{name}"
    await set_initial_offsets(kafka, group, chassis.topics.texts, ownership.owns_from)
    inference = Inference(model)
    chassis.stack.callback(inference.close)
    answering = CachedInference(model, inference, chassis.cache, chassis.keyed_hash, chassis.counts)
    handler = make_handler(chassis.topics, card, name, ownership.owns_from, ownership.left)
    withdrawal = RetirementWatch(kafka, model_key(card.task, name), ownership.owns_from)
    chassis.stack.push_async_callback(withdrawal.stop)
    await withdrawal.start()
    loop = chassis.batch_loop(handler, answering, withdrawal.look, withdrawal.owns)
    return Subscription(declare(card.task, chassis.topics), group, loop.handle, loop.let_go)


def declare(task: str, topics: Topics) -> Channels:
    """Say what a service with a small model for `task` reads and writes; it has the task's name."""
    return Channels(
        service=task,
        description=f"Answers {task} with a small model.",
        reads={topics.texts: TextSubmitted},
        follows={topics.models: ModelAnnounced},
        writes={topics.predictions(task): Prediction, topics.models: ModelAnnounced, topics.dead_letters: None},
    )


def announcement(card: Card, name: str) -> ModelAnnounced:
    """Say what a model serves; `owns_from` is agreed when it is announced."""
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
