"""Numbers that the tagger takes for part of an address, and that visibly count or calculate: *5 people*, *9 plus 22*.

A leak is worse than a masked number. So nothing is left out unless the text is said to be English, whose words these
are (in French, *le 12 plus la cave* is a house), the whole text is plain ASCII with seven digits at most, the number
stands by itself, and nothing else of an address is near: no other part of one, and no word for a street, a dwelling, or
what is done there (*stay*, *meet*, *deliver*).
"""

import re
from collections.abc import Sequence
from typing import Final

from sprat_contracts.languages import primary_subtag
from sprat_privacy.detection import Detection

_LANGUAGE: Final = "en"
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ,.;:!?'\"()$+*/=\n-]*")
"""Nothing that can be read as something else, as `&#49;`, `%31` or a letter of another script."""
_MOST_DIGITS: Final = 7
"""Of a whole text: a number of eight digits, as of a phone, cannot leave in pieces (*4917 plus 0123*)."""
_NUMBER: Final = re.compile(r"[0-9]{1,4}(?:am|pm|st|nd|rd|th)?")
_UNITS: Final = (
    "people", "persons", "guests", "adults", "children", "kids", "couples", "sides", "sided", "cups?", "teaspoons?",
    "tablespoons?", "gallons?", "ounces?", "pounds?", "grams?", "kilograms?", "kilos?", "liters?", "litres?", "pints?",
    "quarts?", "inches", "inch", "feet", "meters?", "metres?", "miles?", "kilometers?", "kilometres?", "minutes?",
    "hours?", "days?", "weeks?", "months?", "years?", "seconds?", "percent", "dollars?", "bucks", "cents?", "euros?",
    "pesos?", "yen", "degrees?", "calories", "times", "divided", "divisible", "multiplied", "(?:plus|minus)(?= [0-9])",
)  # fmt: skip
_AFTER: Final = re.compile(rf" (?:{'|'.join(_UNITS)})(?![\w-])")
_BEFORE: Final = re.compile(
    r"(?:plus|minus|times|divided by|divisible by|multiplied by|square root of|volume (?:to|at|of)|"
    r"(?:table|reservation) for|(?:add|subtract)(?: up)?(?: [0-9]{1,4} (?:and|from|to))?|for under) \Z"
)
_FORM: Final = re.compile(r"401k|w-?2")
"""A pension and a tax form of the USA, of which everybody there has one."""
_ADDRESS_WORDS: Final = re.compile(
    r"(?i:\b(?:addr(?:ess(?:es)?)?|apartment|apt|alley|ave|avenue|block|blvd|boulevard|box|building|bldg|circle|close|"
    r"court|crescent|ct|deliver(?:s|ed|y)?|dr|drive|drop(?:ped)?|estate|flat|floor|gardens?|grove|highway|hill|house|"
    r"hwy|lane|ln|live|lives|living|lot|meet|met|moved|number|park|parkway|pick(?:ed)?|place|plaza|po|postcode|rd|"
    r"resid(?:e|es|ed|ing)|road|room|route|row|rt|rue|sq|square(?! root)|st|stay(?:s|ed|ing)?|str|street|strasse|"
    r"suite|terrace|unit|via|view|walk|way|yard|zip)\b|[a-z]+(?:street|strasse|straat|road|weg|platz|gasse|laan)\b)"
)
_PLACES: Final = frozenset({"ADDRESS", "LOCATION"})
_NEAR: Final = 40
"""Characters on each side in which nothing of an address may be."""


def without_counts(text: str, language: str, detections: Sequence[Detection]) -> list[Detection]:
    """Return the tagger's detections of a text, without the numbers that count something where its tag is English."""
    if primary_subtag(language) != _LANGUAGE:
        return list(detections)
    addresses = [each for each in detections if each.type == "ADDRESS"]
    if not addresses or sum(map(str.isdigit, text)) > _MOST_DIGITS or _PLAIN.fullmatch(text) is None:
        return list(detections)
    numbers = {
        (each.start, each.end)
        for each in addresses
        if _NUMBER.fullmatch(text, each.start, each.end) or _FORM.fullmatch(text, each.start, each.end)
    }
    near_a_place = bytearray(len(text))
    for each in detections:
        if each.type in _PLACES and (each.start, each.end) not in numbers:
            first, last = max(each.start - _NEAR, 0), min(each.end + _NEAR, len(text))
            near_a_place[first:last] = bytes([1]) * (last - first)
    return [
        each
        for each in detections
        if (each.start, each.end) not in numbers or near_a_place[each.start] or not _counts(text, each.start, each.end)
    ]


def _counts(text: str, start: int, end: int) -> bool:
    """Return whether the number is a time or a form, or beside what it counts, and nothing of an address is near."""
    if (start and not text[start - 1].isspace()) or text[end : end + 1] not in {"", " ", ",", ".", "?", "!", "\n"}:
        return False
    around = text[max(start - _NEAR, 0) : start], text[end : end + _NEAR]
    before, after = around[0].split()[-1:], around[1].split()[:1]
    if any(map(_ADDRESS_WORDS.search, around)) or any(word[0].isupper() for word in (*before, *after)):
        return False
    if text[start:end].endswith(("am", "pm")) or _BEFORE.search(around[0]) is not None:
        return True
    if before == ["at"]:  # as of a house: *drop me off at 22 miles before noon*
        return False
    return _FORM.fullmatch(text, start, end) is not None or _AFTER.match(text, end) is not None
