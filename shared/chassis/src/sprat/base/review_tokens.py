"""Which kept answers are drawn for review, and the token by which an answer to a draw counts.

Both are keyed, so nobody upstream can choose what is drawn, and nobody outside the installation can answer for a draw.
The hash depends on source, id and task alone: the same text has the same draw, whatever it says and whatever the
confidence of its answer.
"""

import hmac
from datetime import datetime
from typing import Final

from sprat.base.keys import KeyedHash, Keys
from sprat_contracts import Prediction, ReviewAsked, ReviewCell, ReviewClosed
from sprat_contracts.languages import is_auto, primary_subtag
from sprat_contracts.topics import DAY_MS

DRAW: Final = "review draw"
TOKEN: Final = "review token"  # noqa: S105 - the name of a purpose
UNDETERMINED: Final = "und"
"""The language of a cell, as BCP 47 writes it, where that of the text is not known."""
_DIGITS: Final = 16
"""Of a hash: 64 bits in hex."""
_ALL: Final = 1 << 64


class ReviewTokens:
    """Hashes and tokens of draws, by the keys of an installation."""

    def __init__(self, keys: Keys) -> None:
        self._draw = KeyedHash(keys.current(DRAW))
        self._tokens = tuple(map(KeyedHash, keys.accepted(TOKEN)))

    def hash(self, source: str, id: str, task: str) -> str:
        """Return the hash that decides whether a kept answer is drawn: 64 bits in hex."""
        return self._draw(source, id, task)[:_DIGITS]

    def token(self, source: str, id: str, task: str, cell: ReviewCell, hash: str) -> str:
        """Return the token of a draw, with the current secret."""
        return self._tokens[0](*_covered(source, id, task, cell, hash))

    def is_of(self, draw: ReviewAsked | ReviewClosed, token: str | None) -> bool:
        """Return whether a token is that of a draw, with either secret that is valid."""
        of = draw.prediction if isinstance(draw, ReviewAsked) else draw
        covered = _covered(of.text_source, of.text_id, of.task, draw.cell, draw.hash)
        given = (token or "").encode()
        return any(hmac.compare_digest(each(*covered).encode(), given) for each in self._tokens)


def is_drawn(hash: str, share: float) -> bool:
    """Return whether a hash is among the given share of all."""
    return int(hash, 16) < share * _ALL


def is_replayed(written: str | None, appended_at: int) -> bool:
    """Return whether a draw was appended long after it was written, by the signed header that says when that was.

    Whoever has an old draw could otherwise append it once more, after its closing is forgotten, with its old answer.
    """
    try:
        written_at = datetime.fromisoformat(written or "").timestamp() * 1000
    except ValueError:
        return True
    return appended_at - written_at > DAY_MS


def cell_of(prediction: Prediction, tenant: str) -> ReviewCell:
    """Return the cell of an answer; `tenant` is the one of the policy."""
    return ReviewCell(tenant=tenant, language=language_of_cell(prediction.text_language))


def language_of_cell(tag: str) -> str:
    """Return the language of a cell, by that of a text, BCP 47."""
    language = primary_subtag(tag)
    return language if len(language) > 1 and not is_auto(language) else UNDETERMINED


def _covered(source: str, id: str, task: str, cell: ReviewCell, hash: str) -> tuple[str, ...]:
    return source, id, task, cell.tenant or "", cell.language or "", hash
