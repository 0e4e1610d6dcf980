"""What can be asked for: the labels and languages of the announced models, and the labels of task files."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from sprat.base.errors import Fatal, Retryable
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER
from sprat.registry.announcements import Announcement, ModelsReader
from sprat.registry.model_table import ModelTable
from sprat_contracts import IntentOutput, ModelAnnounced
from sprat_contracts.languages import primary_subtag
from sprat_policy import TaskFiles

log = logging.getLogger(__name__)

TRANSLATION: Final = "translation"
_EVERY_S: Final = 1.0
_PAUSE_S: Final = 5.0


class Catalogue:
    """The models as their topic says. Their signatures are not verified: the door does not have the secret.

    It decides nothing but which task a question is for: what a model says, the router judges.
    """

    def __init__(self, files: TaskFiles) -> None:
        self._files = files
        self._models = ModelTable()
        self.known = asyncio.Event()
        """Set once the topic was read to its end."""

    def apply(self, seen: Announcement) -> None:
        """Take a record of the topic of models."""
        self._models.apply(seen.key, seen.announced)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Name of each task with one label → its labels: its default model's, else those of its file."""
        found = {name: tuple(file.labels) for name, file in self._files.items() if file.form is IntentOutput}
        forms = self._files.table
        serving = (each for each in self._serving() if each.labels and forms.get(each.task) is IntentOutput)
        return found | {each.task: each.labels or () for each in serving}

    @property
    def pairs(self) -> Mapping[str, tuple[str, ...]]:
        """Language that the default model of translations reads → languages that it translates into."""
        model = next((each for each in self._serving() if each.task == TRANSLATION), None)
        if model is None:
            return {}
        return {
            language: tuple(each for each in model.targets if primary_subtag(each) != primary_subtag(language))
            for language in model.languages
        }

    @property
    def groups(self) -> frozenset[str]:
        """The groups of the models that answer texts now, without the prefix."""
        return frozenset(self._models.groups())

    def _serving(self) -> list[ModelAnnounced]:
        announced = self._models.announced()
        return [each for each in announced if each.model == DEFAULT_MODEL and each.owns_from is not None]


async def follow(kafka: KafkaSettings, catalogue: Catalogue) -> None:
    """Read the topic of models again and again, until cancelled; connect again after a failure."""
    while True:
        reader = ModelsReader(kafka, None, catalogue.apply)
        try:
            await reader.start()
            catalogue.known.set()
            while True:
                await asyncio.sleep(_EVERY_S)
                await reader.catch_up()
        except (Fatal, Retryable, *NO_ANSWER) as error:
            log.warning("the topic of models is not read: %s; trying again", error)
            await asyncio.sleep(_PAUSE_S)
        finally:
            await reader.stop()
