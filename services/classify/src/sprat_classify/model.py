"""The trained model of a task from a file, under the name of the task: one label a text, or several."""

from sprat.errors import UserError
from sprat_encoder.label_set_model import TaskModel, load_task_model
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import TaskFile


class ClassifyModel:
    """Where the tools find what loads the model of a task from a file."""

    load = staticmethod(load_task_model)


def for_task(model: TaskModel, task: str, file: TaskFile) -> TaskModel:
    """Return a model as that of a task: its card names the task, and the languages of the file.

    Raises:
        UserError: it is of another kind than the file, or its labels are not those of the file.
    """
    several = model.card.kind == MULTI_LABEL
    if several != (file.kind == "multi_label"):
        given = "several labels" if several else "one label"
        right = "multi_label" if several else "classification"
        raise UserError(
            f"the task {task} is of the kind {file.kind}, and its model gives a text {given}: write kind: {right}, or "
            "name another model"
        )
    labels = model.card.labels or ()
    if missing := [label for label in file.labels if label not in labels]:
        raise UserError(f"the task {task} has the label {missing[0]!r}, which its model does not know: {_FIX}")
    if surplus := [label for label in labels if label not in file.labels]:
        raise UserError(
            f"the model of the task {task} has the label {surplus[0]!r}, which its file does not have: {_FIX}"
        )
    return model.with_card(task=task, languages=file.languages or model.card.languages)


_FIX = "write the same labels in both, or train the model again"
