"""How sure a chat model is of its label, or of several: the probability of the tokens that write them."""

import math
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

_STRING = r'"(?:[^"\\]|\\.)*"'
_LABEL = re.compile(rf'"label"\s*:\s*(?P<value>{_STRING}|null)|"labels"\s*:\s*(?P<values>\[(?:[^"\[\]]|{_STRING})*\])')


class TokenLogprob(BaseModel):
    """A token of the answer and the natural logarithm of its probability."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token: str
    logprob: float = Field(allow_inf_nan=False)
    utf8: list[int] | None = Field(default=None, max_length=256, alias="bytes")
    """Of the token, which may be a part of a character; some servers do not tell them."""

    @property
    def written(self) -> bytes:
        """What it adds to the answer, UTF-8."""
        try:
            return self.token.encode() if self.utf8 is None else bytes(self.utf8)
        except ValueError:
            return b""


def label_confidence(content: str, tokens: Sequence[TokenLogprob]) -> float | None:
    """Return the probability of the label or the labels in an answer, 0–1; None where the tokens do not tell it.

    It is the product over the tokens that write the value, its closing quote or bracket included: without that, `card`
    would be as sure as all labels that begin so, and a list as sure as all that go on. What frames the value is the
    schema's, and says nothing of the label. A list has the probability of its order, too: it is no more than that of
    the set.
    """
    found = _LABEL.search(content)
    if found is None or b"".join(each.written for each in tokens) != content.encode():
        return None
    value = "values" if found["value"] is None else "value"
    start = len(content[: found.start(value)].encode())
    end = start + len(found[value].encode())
    place, logprob = 0, 0.0
    for each in tokens:
        after = place + len(each.written)
        if after > start and place < end:
            logprob += each.logprob
        place = after
    return min(1.0, math.exp(min(0.0, logprob)))
