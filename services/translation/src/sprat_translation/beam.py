"""How much the candidates agree that a beam search ended with: a network that is right seldom has much else to say."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sprat_translation.network import Candidate


@dataclass(frozen=True, slots=True)
class Beam:
    """Figures of one sentence's candidates."""

    lead: float
    """By how much the score of the one taken is above the best other's; negative where that one was no use."""
    share: float
    """Of the chance that all candidates have together, that of the one taken."""
    consensus: float
    """How alike the candidates are to it, 0 to 1, each counted by its share; itself included."""
    indecision: float
    """Entropy of the shares, in nats: 0 where one candidate has it all."""
    least_alike: float
    """How alike the candidate is to it that is least so; 1 where there is no other."""
    mean_alike: float
    """How alike the others are to it, whatever their shares; 1 where there is none."""


def compare(candidates: Sequence[Candidate], written: Sequence[str]) -> Beam:
    """Compare the first candidate, which is the one taken, with the others. `written` is what they say."""
    taken, *others = candidates
    totals = [each.score * (len(each.pieces) + 1) for each in candidates]
    weights = [math.exp(total - max(totals)) for total in totals]
    shares = [weight / sum(weights) for weight in weights]
    alike = [_alike(written[0], text) for text in written]
    return Beam(
        lead=taken.score - others[0].score if others else 0.0,
        share=shares[0],
        consensus=sum(share * each for share, each in zip(shares, alike, strict=True)),
        indecision=-sum(share * math.log(share) for share in shares if share),
        least_alike=min(alike),
        mean_alike=sum(alike[1:]) / len(others) if others else 1.0,
    )


def _alike(one: str, other: str) -> float:
    """Share of the sequences of three characters that two texts have in common (Dice)."""
    ours, theirs = _threes(one), _threes(other)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def _threes(text: str) -> Counter[str]:
    framed = f"  {text.casefold()}  "
    return Counter(framed[place : place + 3] for place in range(len(framed) - 2))
