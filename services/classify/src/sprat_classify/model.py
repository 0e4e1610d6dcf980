"""The trained model of a task from a file: that of every task with labels, under the name of the task."""

from sprat.errors import UserError
from sprat_encoder.label_model import LabellingModel
from sprat_policy import TaskFile


class ClassifyModel(LabellingModel):
    """Answers with a label of a task from a file; adds nothing to :class:`LabellingModel`."""


def for_task(model: LabellingModel, task: str, file: TaskFile) -> LabellingModel:
    """Return a model as that of a task: its card names the task, and the languages of the file.

    Raises:
        UserError: its labels are not those of the file.
    """
    labels = model.card.labels or ()
    if missing := [label for label in file.labels if label not in labels]:
        raise UserError(f"the task {task} has the label {missing[0]!r}, which its model does not know: {_FIX}")
    if surplus := [label for label in labels if label not in file.labels]:
        raise UserError(
            f"the model of the task {task} has the label {surplus[0]!r}, which its file does not have: {_FIX}"
        )
    return model.with_card(task=task, languages=file.languages or model.card.languages)


_FIX = "write the same labels in both, or train the model again"
