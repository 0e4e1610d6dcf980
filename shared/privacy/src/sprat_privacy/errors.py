"""Errors of masking and restoring. All are declined with the code `masking`; no message holds a word of a text.

* SpratError
  + MaskingFailed
    - NotVerified           the text must not leave the perimeter
      . LanguageNotCovered  because nothing detects names in its language
      . TextTooLong         because masking it would hold up others
    - NotRestorable         the answer must not be used
"""

from typing import ClassVar

from sprat.base.errors import SpratError
from sprat_contracts import ReasonCode


class MaskingFailed(SpratError):
    """A text could not be masked, or an answer about a masked text could not be restored."""

    code: ClassVar[ReasonCode] = ReasonCode.MASKING

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """For people; holds nothing of the text."""


class NotVerified(MaskingFailed):
    """Masking could not be verified: the text must not leave the perimeter."""


class LanguageNotCovered(NotVerified):
    """No detector of names covers the text's language: a limit of this installation, not a fault in it."""


class TextTooLong(NotVerified):
    """Folded, the text is too long to be masked in time: a limit, not a fault."""


class NotRestorable(MaskingFailed):
    """The answer does not carry the placeholders as they were sent: it must not be used."""
