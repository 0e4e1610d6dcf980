"""The perimeter: what is personal is masked before a text leaves and restored in the answer. No Kafka, no I/O."""

from sprat.perimeter.errors import MaskingFailed, NotRestorable, NotVerified
from sprat.perimeter.finder import Finder, NameFinder
from sprat.perimeter.found import Found
from sprat.perimeter.masked import Masked, MaskedSpan
from sprat.perimeter.masking import mask
from sprat.perimeter.restoring import restore, restore_text

__all__ = [
    "Finder",
    "Found",
    "Masked",
    "MaskedSpan",
    "MaskingFailed",
    "NameFinder",
    "NotRestorable",
    "NotVerified",
    "mask",
    "restore",
    "restore_text",
]
