"""The trained model of a task from a file, under the name of the task: one label a text, or several."""

from sprat_encoder.label_set_model import TaskModel, load_task_model
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import TaskFile, check_model_fits


class ClassifyModel:
    """Where the tools find what loads the model of a task from a file."""

    load = staticmethod(load_task_model)


def for_task(model: TaskModel, task: str, file: TaskFile) -> TaskModel:
    """Return a model as that of a task: its card names the task, and the languages of the file.

    Raises:
        UserError: it is of another kind than the file, or its labels are not those of the file.
    """
    check_model_fits(task, file, model.card.labels or (), several=model.card.kind == MULTI_LABEL)
    return model.with_card(task=task, languages=file.languages or model.card.languages)
