"""The decisions of the classification service: those that all specialists share."""

from sprat_inference.specialist import SpecialistHandler


class ClassifyHandler(SpecialistHandler):
    """Handles texts that ask for the task of a file; adds nothing to :class:`SpecialistHandler`."""
