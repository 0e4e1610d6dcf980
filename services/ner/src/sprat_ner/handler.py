"""The decisions of the NER service: those that all specialists share."""

from sprat_inference.specialist import SpecialistHandler


class NerHandler(SpecialistHandler):
    """Handles texts that ask for entities; adds nothing to :class:`SpecialistHandler`."""
