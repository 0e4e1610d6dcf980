"""Detect, mask and restore personal data. No Kafka, no network.

The package exports masking itself. Detectors are imported from their modules, because the tagger loads CTranslate2:
`detectors.tagger`, and `detectors.fixed` for all others.
"""

from sprat_privacy.detection import Detection, Detector, NameDetector, resolve
from sprat_privacy.errors import LanguageNotCovered, MaskingFailed, NotRestorable, NotVerified, TextTooLong
from sprat_privacy.masked_text import MaskedSpan, MaskedText
from sprat_privacy.masking import REVISION, is_too_long, mask, read_names
from sprat_privacy.restoring import restore, restore_text

__all__ = [
    "REVISION",
    "Detection",
    "Detector",
    "LanguageNotCovered",
    "MaskedSpan",
    "MaskedText",
    "MaskingFailed",
    "NameDetector",
    "NotRestorable",
    "NotVerified",
    "TextTooLong",
    "is_too_long",
    "mask",
    "read_names",
    "resolve",
    "restore",
    "restore_text",
]
