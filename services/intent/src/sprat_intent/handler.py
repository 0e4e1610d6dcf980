"""The intent service's decisions: those of every specialist."""

from sprat_inference.specialist import SpecialistHandler


class IntentHandler(SpecialistHandler):
    """Events in, outcomes out. An intent needs the text alone, so nothing is added to what specialists share."""
