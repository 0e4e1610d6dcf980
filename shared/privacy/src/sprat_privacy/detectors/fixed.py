"""Which detectors a text meets besides the tagger: one list for all that looks for personal data."""

from sprat_policy import PrivacyPolicy
from sprat_privacy.detection import Detector
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators


def fixed_detectors(policy: PrivacyPolicy, *, names: bool = True) -> tuple[Detector, ...]:
    """Return the detectors that need no weights.

    Args:
        policy: with the terms and patterns of its own.
        names: whether names are looked for; not in what is no sentence, as a label or the name of a model.
    """
    return (*((NameContext(),) if names else ()), Validators(), Terms.of(policy))
