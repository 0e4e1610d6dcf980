"""The labels of a model, which a large model is told to choose from. Not masked: a hidden one would mean nothing."""

from collections.abc import Sequence
from typing import Final

from sprat_policy import PrivacyPolicy
from sprat_privacy.detectors.fixed import fixed_detectors
from sprat_privacy.detectors.validators.contact import LANGUAGES
from sprat_privacy.readings import readings

_DIGITS: Final = 5
"""A number that one language knows and another does not has at least so many."""


def labels_to_keep(labels: Sequence[str], policy: PrivacyPolicy) -> tuple[int, ...]:
    """Return which labels must not leave, counted from 1.

    Those with a term or a pattern of the policy, or with a value whose form can be checked in any language. Names are
    not looked for: a label is no sentence, and the tagger takes many words by themselves for names.
    """
    detectors = fixed_detectors(policy, names=False)

    def must_stay(label: str) -> bool:
        return any(
            detector.find(reading, language)
            for reading in (label, *(other.text for other in readings(label)))
            for language in _languages(reading)
            for detector in detectors
        )

    return tuple(number for number, label in enumerate(labels, 1) if must_stay(label))


def _languages(reading: str) -> tuple[str, ...]:
    """Return the languages to read a label in: they decide about phone and national numbers alone."""
    return LANGUAGES if sum(map(str.isdigit, reading)) >= _DIGITS else ("en",)


def numbered(labels: Sequence[int]) -> str:
    """Return their numbers for people, as `label 3` or `labels 3, 7 and 9`."""
    if len(labels) == 1:
        return f"label {labels[0]}"
    return f"labels {', '.join(map(str, labels[:-1]))} and {labels[-1]}"
