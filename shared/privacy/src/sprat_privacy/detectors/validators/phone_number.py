"""Phone numbers: valid ones of the text's language's regions and international ones; behind a word for it, any.

The plans are those of phonenumbers (Google's libphonenumber).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from sprat_privacy.detectors.validators.context import PHONE, PHONE_AFTER
from sprat_privacy.detectors.validators.phone_regions import regions_of
from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "PHONE"

_RUN = re.compile(
    r"(?<![^\W_])(?:\+ ?)?\(?[0-9](?:[ ().\-/]{0,3}[0-9]){5,}+"
    r"(?:[ ,;]{0,2}(?:ext\.?|extension|x|dw|#)[ .:]{0,2}[0-9]{1,6})?(?![^\W_])",
    re.IGNORECASE,
)
_GROUP = re.compile(r"(?:\+ ?)?\(?[0-9]+\)?")
_DATE = re.compile(
    r"(?:[0-9]{1,2}[./-][0-9]{1,2}[./-](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[./-][0-9]{1,2}[./-][0-9]{1,2})"
    r"(?:[ T][0-9]{1,4})?"
)
_MONEY_AFTER = re.compile(r" ?(?:[€$£¥%]|(?:eur|usd|gbp|chf|kr|zł|kč|ft|lei|лв)\b)", re.IGNORECASE)
_MONEY_BEFORE = re.compile(r"(?:[€$£¥]|\b(?:eur|usd|gbp|chf))[ ]?\Z", re.IGNORECASE)
_FEWEST, _MOST = 7, 15
"""Digits: ITU E.164 allows 15; a local number has at least 7 where no word says what it is."""
_FEWEST_UNGROUPED = 9
"""Below that, digits in one piece are an order or an amount unless they begin as a number that is dialled."""
_MAX_GROUPS = 8


def find(reading: Reading) -> Iterator[Hit]:
    """Give every number; where several stand in a row, each."""
    if not reading.has_digits:
        return
    for run in _RUN.finditer(reading.text):
        start, end = run.span()
        if (
            _digits(run.group()) < 6
            or _MONEY_AFTER.match(reading.text, end)
            or _MONEY_BEFORE.search(reading.text, max(0, start - 5), start)
        ):
            continue
        said = reading.before(start, PHONE) or PHONE_AFTER.search(reading.lower, end, end + 12) is not None
        if _fits(reading, run.group(), said=said):
            yield Hit(start, end, TYPE, 0.9)
        else:
            yield from _parts(reading, start, run.group(), said=said)


def _digits(written: str) -> int:
    return sum(map(str.isdigit, written))


def _parts(reading: Reading, origin: int, run: str, *, said: bool) -> Iterator[Hit]:
    """Look for numbers among the groups of a run: the longest from each group at which one can begin."""
    groups = [match.span() for match in _GROUP.finditer(run)]
    free_from = 0
    for first, (start, _) in enumerate(groups):
        if start < free_from or not (said or run[start] in "+(0"):
            continue
        if reading.spent(TYPE):
            yield Hit(origin + start, origin + len(run), TYPE, 0.5)
            return
        for _, end in reversed(groups[first : first + _MAX_GROUPS]):
            if _digits(run[start:end]) <= _MOST and _fits(reading, run[start:end], said=said):
                yield Hit(origin + start, origin + end, TYPE, 0.9)
                free_from = end
                break


def _fits(reading: Reading, written: str, *, said: bool) -> bool:
    """Is it a number by the plan of a region, or has a word said so?"""
    digits = _digits(re.split(r"[a-z#]", written, maxsplit=1, flags=re.IGNORECASE)[0])
    if _DATE.fullmatch(written) is not None:
        return False
    if said and 6 <= digits <= _MOST:
        return True
    dialled = written[0] in "+(0"
    too_short = digits < (_FEWEST_UNGROUPED if written.isdigit() and not dialled else _FEWEST)
    if too_short or digits > _MOST + 2:
        return False
    return not reading.may_check(TYPE) or _planned(reading, written, dialled=dialled)


def _planned(reading: Reading, written: str, *, dialled: bool) -> bool:
    """Is it a number by the plan of its country code, or of one of the regions of the text's language?"""
    if written[0] == "+":
        # Who writes a country code means a phone number, be it one that nobody has yet.
        return _is_valid(written, None, possible=True)
    if written.startswith("00") and _is_valid("+" + written[2:], None):
        return True
    return any(
        (dialled or not _needs_prefix(region)) and _is_valid(written, region)
        for region in regions_of(reading.language, reading.region)
    )


@lru_cache(maxsize=512)
def _needs_prefix(region: str) -> bool:
    """Say whether a number is written with a 0 before it there: without one, digits are rather something else."""
    return phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) == "0"


def _is_valid(written: str, region: str | None, *, possible: bool = False) -> bool:
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) if possible else phonenumbers.is_valid_number(number)
