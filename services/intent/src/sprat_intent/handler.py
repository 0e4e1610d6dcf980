"""The decisions of the intent service: those that all specialists share."""

from sprat_inference.specialist import SpecialistHandler


class IntentHandler(SpecialistHandler):
    """Handles texts that ask for an intent; adds nothing to :class:`SpecialistHandler`."""
