"""How a service with a small model is wired: announce, own, answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

from pydantic import Field

from sprat.announcing import announce
from sprat.chassis import Chassis, Subscription
from sprat.declaration import Declaration
from sprat.delivery.answering import Answering
from sprat.delivery.group_start import start_group_at
from sprat.delivery.inference import Inference
from sprat.delivery.withdrawn import Withdrawal
from sprat.errors import UserError
from sprat.model_table import model_key
from sprat.models.card import Card
from sprat.models.errors import BrokenArtefact
from sprat.models.question import Model
from sprat.settings import Section
from sprat.specialist import Specialist
from sprat.withdrawal import Ends
from sprat_contracts import ModelAnnounced, Prediction, TextSubmitted, Topics

MakeHandler = Callable[[Topics, Card, str, int, Ends], Specialist]
"""Topics, card, the name that texts ask for, and what is the model's own: `owns_from` and `left`."""
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


async def serve_model(chassis: Chassis, model: Model, name: str, make_handler: MakeHandler) -> Subscription:
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
    await start_group_at(kafka, group, chassis.topics.texts, ownership.owns_from)
    inference = Inference(model)
    chassis.stack.callback(inference.close)
    answering = Answering(model, inference, chassis.cache, chassis.keyed_hash, chassis.counts)
    handler = make_handler(chassis.topics, card, name, ownership.owns_from, ownership.left)
    withdrawal = Withdrawal(kafka, model_key(card.task, name), ownership.owns_from)
    chassis.stack.push_async_callback(withdrawal.stop)
    await withdrawal.start()
    loop = chassis.batch_loop(handler, answering, withdrawal.look, withdrawal.owns)
    return Subscription(declare(card.task, chassis.topics), group, loop.handle, loop.let_go)


def declare(task: str, topics: Topics) -> Declaration:
    """Say what a service with a small model for `task` reads and writes; it has the task's name."""
    return Declaration(
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
