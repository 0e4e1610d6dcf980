"""A task and which of its models, as people read and write it: `intent`, and `intent@hr` for a model by name."""

from typing import Final

from sprat_contracts import TaskOptions

DEFAULT_MODEL: Final = TaskOptions().model
"""The model that a text asks for where it names none."""


def named(task: str, model: str | None) -> str:
    """Give the task, with its model where that has a name of its own; None: it is not known, or there is none."""
    return task if model in (None, DEFAULT_MODEL) else f"{task}@{model}"
