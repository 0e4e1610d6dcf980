"""The decisions of the language service: those that all specialists share."""

from sprat_inference.specialist import SpecialistHandler


class LanguageIdHandler(SpecialistHandler):
    """Handles texts that ask for their language; adds nothing to :class:`SpecialistHandler`."""
