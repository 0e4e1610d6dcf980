"""Detect, mask and restore personal data. No Kafka, no network."""

from sprat_privacy.detection import Detection, Detector, NameDetector
from sprat_privacy.errors import MaskingFailed, NotRestorable, NotVerified
from sprat_privacy.masked_text import Masked, MaskedSpan
from sprat_privacy.masking import mask
from sprat_privacy.restoring import restore, restore_text

__all__ = [
    "Detection",
    "Detector",
    "Masked",
    "MaskedSpan",
    "MaskingFailed",
    "NameDetector",
    "NotRestorable",
    "NotVerified",
    "mask",
    "restore",
    "restore_text",
]
