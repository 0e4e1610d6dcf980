"""The perimeter, as `sprat mask` asks it, for what stands in a dead letter."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sprat.cli.finders import Asked, gather
from sprat.errors import SpratError
from sprat.operating.original import Readable
from sprat.perimeter import NotVerified
from sprat.perimeter import mask as masking
from sprat.perimeter.finder import primary


class Withheld(SpratError):
    """It cannot be verified that all is masked."""


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks what can be read of a value."""

    asked: Asked
    language: str | None
    alone: bool

    @classmethod
    def load(cls, policy: Path | None, tagger: Path | None, language: str | None, *, alone: bool) -> Self:
        """Load the finders.

        Raises:
            UserError: the policy or the tagger cannot be used, or is not here.
        """
        return cls(gather(policy, tagger, alone=alone), language, alone)

    def mask(self, content: Readable) -> tuple[str, Mapping[str, int]]:
        """Give what may be shown, and how many values of which type are masked in it.

        Raises:
            Withheld: nothing of it may be shown.
        """
        language = self.language or content.language or "en"
        accepted = (*self.asked.validators_alone, primary(language)) if self.alone else self.asked.validators_alone
        if not content.text.strip():
            return content.shown(), {}
        try:
            masked = masking(content.text, language, self.asked.finders, validators_alone=accepted)
        except NotVerified as error:
            raise Withheld(f"{error.reason} (language {language}; another: --language TAG)") from None
        return content.masked(masked), Counter(span.type for span in content.spans(masked))
