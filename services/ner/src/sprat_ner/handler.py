"""The NER service's decisions: those of every specialist."""

from sprat_inference.specialist import SpecialistHandler


class NerHandler(SpecialistHandler):
    """Events in, outcomes out. Names need the text and its language alone, so nothing is added to what is shared."""
