"""E-mail addresses and phone numbers.

E-mail addresses by RFC 5321's local part and domain, with letters of every script (RFC 6531). Phone numbers by the
numbering plans of phonenumbers (Google's libphonenumber): international ones, and valid ones of the regions where the
text's language is spoken; after a context word, any digits of a plausible length.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import phonenumbers

from sprat_privacy.detectors.validators.context_words import PHONE_WORDS, PHONE_WORDS_AFTER
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText

EMAIL = "EMAIL"
PHONE = "PHONE"

_MAX_LOCAL = 64
_MAX_DOMAIN = 253
"""Limits of RFC 5321, section 4.5.3.1. They also bound the work for each `@`."""
_LOCAL = frozenset("!#$%&'*+-/=?^_`{|}~.")
_LEADING = "!#$%&'*/=?^`{|}~.-"
_FIELD = re.compile(
    r"(?:mail|e-?mail|to|from|cc|bcc|reply-?to|user(?:name)?|login|account|recipient|sender|address)=", re.IGNORECASE
)
"""`to=` in a query or a log line is not part of the address; `bounce-…=example.com@` is."""
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[A-Za-z0-9-]{2,59}|[^\W\d_]{2,63})|localhost", re.IGNORECASE
)
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.IPv]{2,60}\]")


def find_email_addresses(source: PreparedText) -> Iterator[Hit]:
    """Find every e-mail address; the work for each `@` is bounded."""
    text = source.text
    at = text.find("@")
    while at >= 0:
        domain = _LITERAL.match(text, at + 1) or _DOMAIN.match(text, at + 1, at + 1 + _MAX_DOMAIN)
        if domain is not None:
            start = _local_start(text, at)
            if start < at:
                yield Hit(start, domain.end(), EMAIL)
        at = text.find("@", at + 1)


def _local_start(text: str, at: int) -> int:
    """Return where the local part before an `@` begins; `at` if there is none."""
    start = at
    first = max(0, at - _MAX_LOCAL)
    if text[first:at].endswith('"'):
        opening = text.rfind('"', first, at - 1)
        return opening if opening >= 0 else at
    while start > first and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
        start -= 1
    while start < at and text[start] in _LEADING:
        start += 1
    field = _FIELD.match(text, start, at)
    return field.end() if field is not None else start


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
_MIN_DIGITS, _MAX_DIGITS = 7, 15
"""ITU E.164 allows 15 digits; a local number without a context word has at least 7."""
_MIN_DIGITS_WITH_CONTEXT = 6
_MIN_DIGITS_UNGROUPED = 9
"""Fewer digits in one piece are an order number or an amount, unless they begin with a dialling prefix."""
_MAX_GROUPS = 8
_LIKELY, _UNCHECKED = 0.9, 0.5


def find_phone_numbers(source: PreparedText) -> Iterator[Hit]:
    """Find every phone number, also each of several in a row."""
    if not source.has_digits:
        return
    for run in _RUN.finditer(source.text):
        start, end = run.span()
        if (
            _count_digits(run.group()) < _MIN_DIGITS_WITH_CONTEXT
            or _MONEY_AFTER.match(source.text, end)
            or _MONEY_BEFORE.search(source.text, max(0, start - 5), start)
        ):
            continue
        has_context = (
            source.before(start, PHONE_WORDS) or PHONE_WORDS_AFTER.search(source.lower, end, end + 12) is not None
        )
        if _is_phone_number(source, run.group(), has_context=has_context):
            yield Hit(start, end, PHONE, _LIKELY)
        else:
            yield from _numbers_in_run(source, start, run.group(), has_context=has_context)


def regions_of(language: str, region: str | None) -> tuple[str, ...]:
    """Return the regions whose numbers a text may give without a country code, the likeliest first.

    Args:
        language: the primary tag of the text's language.
        region: the region of its tag, if it has one; it comes first.
    """
    listed = _REGIONS.get(language, ())
    if region is None or region in listed[:1]:
        return listed
    return (region, *(other for other in listed if other != region))


def _count_digits(written: str) -> int:
    return sum(map(str.isdigit, written))


def _numbers_in_run(source: PreparedText, origin: int, run: str, *, has_context: bool) -> Iterator[Hit]:
    """Find the longest number from each group of a run at which one can begin."""
    groups = [match.span() for match in _GROUP.finditer(run)]
    free_from = 0
    for first, (start, _) in enumerate(groups):
        if start < free_from or not (has_context or run[start] in "+(0"):
            continue
        if source.is_spent(PHONE):
            yield Hit(origin + start, origin + len(run), PHONE, _UNCHECKED)
            return
        for _, end in reversed(groups[first : first + _MAX_GROUPS]):
            written = run[start:end]
            if _count_digits(written) <= _MAX_DIGITS and _is_phone_number(source, written, has_context=has_context):
                yield Hit(origin + start, origin + end, PHONE, _LIKELY)
                free_from = end
                break


def _is_phone_number(source: PreparedText, written: str, *, has_context: bool) -> bool:
    """Return whether a numbering plan or a context word says that this is a phone number."""
    digits = _count_digits(re.split(r"[a-z#]", written, maxsplit=1, flags=re.IGNORECASE)[0])
    if _DATE.fullmatch(written) is not None:
        return False
    if has_context and _MIN_DIGITS_WITH_CONTEXT <= digits <= _MAX_DIGITS:
        return True
    has_prefix = written[0] in "+(0"
    too_short = digits < (_MIN_DIGITS_UNGROUPED if written.isdigit() and not has_prefix else _MIN_DIGITS)
    if too_short or digits > _MAX_DIGITS + 2:
        return False
    return not source.may_check(PHONE) or _is_in_a_plan(source, written, has_prefix=has_prefix)


def _is_in_a_plan(source: PreparedText, written: str, *, has_prefix: bool) -> bool:
    """Return whether the number fits the plan of its country code, or of one of the regions of the text's language."""
    if written[0] == "+":
        # A country code means a phone number, even one that is not assigned yet.
        return _is_valid(written, None, possible=True)
    if written.startswith("00") and _is_valid("+" + written[2:], None):
        return True
    return any(
        (has_prefix or not _needs_prefix(region)) and _is_valid(written, region)
        for region in regions_of(source.language, source.region)
    )


@lru_cache(maxsize=512)
def _needs_prefix(region: str) -> bool:
    """Return whether numbers of the region are written with a leading 0: without it, digits mean something else."""
    return phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) == "0"


def _is_valid(written: str, region: str | None, *, possible: bool = False) -> bool:
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) if possible else phonenumbers.is_valid_number(number)


_REGIONS: Final[dict[str, tuple[str, ...]]] = {
    "bg": ("BG",), "bs": ("BA",), "ca": ("ES", "AD"), "cs": ("CZ",), "cy": ("GB",), "da": ("DK", "GL"),
    "de": ("DE", "AT", "CH", "LI", "LU", "BE"), "el": ("GR", "CY"), "en": ("GB", "US", "IE", "CA", "AU", "IN"),
    "es": ("ES", "MX", "AR", "CO"), "et": ("EE",), "eu": ("ES",), "fi": ("FI",), "fr": ("FR", "BE", "CH", "LU", "CA"),
    "ga": ("IE",), "gl": ("ES",), "hr": ("HR", "BA"), "hu": ("HU",), "is": ("IS",), "it": ("IT", "CH", "SM"),
    "lb": ("LU",), "lt": ("LT",), "lv": ("LV",), "mk": ("MK",), "mt": ("MT",), "nb": ("NO",), "nl": ("NL", "BE"),
    "nn": ("NO",), "no": ("NO",), "pl": ("PL",), "pt": ("PT", "BR"), "ro": ("RO", "MD"), "ru": ("RU",), "sk": ("SK",),
    "sl": ("SI",), "sq": ("AL", "XK"), "sr": ("RS",), "sv": ("SE", "FI"), "tr": ("TR", "CY"), "uk": ("UA",),
    "ar": ("AE", "SA", "EG"), "he": ("IL",), "hi": ("IN",), "ja": ("JP",), "ko": ("KR",), "zh": ("CN", "HK", "TW"),
}  # fmt: skip


"""Primary language tag → regions."""
LANGUAGES: Final = tuple(_REGIONS)
"""Primary tags of all languages whose regions are known."""
