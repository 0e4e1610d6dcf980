"""The labels of a model, which a large model is told to choose from. Not masked: a hidden one would mean nothing."""

from collections.abc import Sequence

from sprat_policy import PrivacyPolicy
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators


def labels_to_keep(labels: Sequence[str], policy: PrivacyPolicy) -> tuple[int, ...]:
    """Return which labels must not leave, counted from 1.

    Those with a term or a pattern of the policy, or with a value whose form can be checked. Names are not looked for:
    a label is no sentence, and the tagger takes many words by themselves for names.
    """
    detectors = (Validators(), Terms.of(policy))
    return tuple(
        number for number, label in enumerate(labels, 1) if any(detector.find(label, "en") for detector in detectors)
    )


def numbered(labels: Sequence[int]) -> str:
    """Return their numbers for people, as `label 3` or `labels 3, 7 and 9`."""
    if len(labels) == 1:
        return f"label {labels[0]}"
    return f"labels {', '.join(map(str, labels[:-1]))} and {labels[-1]}"
