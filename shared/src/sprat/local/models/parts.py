"""The classes of each task's service, by name: nothing of a service is imported before it is wanted."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Parts:
    """The names of a service's classes, by the module of the service that holds each."""

    settings: str
    """In `__main__`; it has a section of the task's name."""
    model: str
    """In `model`."""
    handler: str
    """In `handler`."""


PARTS: Final = {
    "intent": Parts("IntentSettings", "IntentModel", "IntentHandler"),
    "ner": Parts("NerSettings", "NerModel", "NerHandler"),
    "translation": Parts("TranslationSettings", "TranslationModel", "TranslationHandler"),
}


def part(task: str, module: str, name: str) -> Any:
    """Give a class of the service of a task."""
    return getattr(import_module(f"sprat_{task}.{module}"), name)
