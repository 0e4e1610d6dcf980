"""Payment cards (ISO/IEC 7812): a brand's first digits, its lengths, and the Luhn digit; behind a word, any brand's."""

import re
from collections.abc import Iterator

from stdnum import luhn

from sprat_privacy.detectors.validators.context import CARD
from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "CARD"

_RUN = re.compile(r"(?<![^\W_])[0-9]++(?:(?: - |[ .\-/]{1,2})[0-9]++)*+")
_GROUP = re.compile(r"[0-9]+")
_SHORTEST = 12
_LONGEST = 19

_BRANDS: tuple[tuple[re.Pattern[str], frozenset[int]], ...] = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        (r"4", (13, 16, 18, 19)),  # Visa
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        (r"3[47]", (15,)),  # American Express
        (r"30[0-5]|309|36|3[89]", range(14, 20)),  # Diners Club
        (r"6011|64[4-9]|65|60|81|82|508", range(16, 20)),  # Discover, RuPay
        (r"35", range(16, 20)),  # JCB; its own are 3528 to 3589
        (r"2131|1800", (15,)),  # JCB, older
        (r"62|81", range(16, 20)),  # UnionPay
        (r"50|5[6-8]|6[0-9]", range(12, 20)),  # Maestro
        (r"220[0-4]", range(16, 20)),  # Mir
        (r"9792", (16,)),  # Troy
    )
)


def find(reading: Reading) -> Iterator[Hit]:
    """Give every number that can be a card's, however its digits are grouped."""
    for run in _RUN.finditer(reading.text):
        if run.end() - run.start() >= _SHORTEST:
            yield from _cards(reading, run.start(), run.group())


def _cards(reading: Reading, origin: int, run: str) -> Iterator[Hit]:
    """Try neighbouring groups together; where several fit from one start, the longest."""
    groups = [match.span() for match in _GROUP.finditer(run)]
    said = reading.before(origin, CARD)
    if not reading.stands_alone(origin, origin + len(run)):
        groups.pop()
    digits = "".join(run[start:end] for start, end in groups)
    ends: dict[int, int] = {}
    """How many digits of the run there are up to the end of a group, and where that is."""
    counted = 0
    for start, end in groups:
        counted += end - start
        ends[counted] = end
    free_from = counted = 0
    for start, end in groups:
        if start >= free_from:
            for length in range(_LONGEST, _SHORTEST - 1, -1):
                if counted + length in ends and _is_card(reading, digits[counted : counted + length], said=said):
                    free_from = ends[counted + length]
                    yield Hit(origin + start, origin + free_from, TYPE)
                    break
        counted += end - start


def _is_card(reading: Reading, digits: str, *, said: bool) -> bool:
    if not said and not any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _BRANDS):
        return False
    return not reading.may_check(TYPE) or luhn.is_valid(digits)
