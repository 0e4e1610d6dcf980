"""The intent service's decisions: those of every specialist."""

from sprat_inference.specialist import Specialist


class IntentHandler(Specialist):
    """Events in, outcomes out. An intent needs the text alone, so nothing is added to what specialists share."""
