"""The intent model: that of every task with labels."""

from sprat_encoder.label_model import LabellingModel


class IntentModel(LabellingModel):
    """Answers what a writer wants; adds nothing to :class:`LabellingModel`."""
