"""What can be wrong at the perimeter. Both end in a decline with the code `masking`; no message holds a word of a text.

* SpratError
  + MaskingFailed
    - NotVerified       the text must not leave
    - NotRestorable     the answer must not be used
"""

from typing import ClassVar

from sprat.errors import SpratError
from sprat_contracts import ReasonCode


class MaskingFailed(SpratError):
    """A text could not go out and come back with its personal data kept."""

    code: ClassVar[ReasonCode] = ReasonCode.MASKING

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """For people; holds nothing of the text."""


class NotVerified(MaskingFailed):
    """It cannot be shown that what is personal was masked: the text does not leave."""


class NotRestorable(MaskingFailed):
    """The answer does not carry the placeholders as they were sent: it is not used."""
