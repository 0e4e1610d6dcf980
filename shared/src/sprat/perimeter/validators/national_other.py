"""National numbers of the UK, the US and of the EU's neighbours, and VAT numbers with their country's letters."""

import re
from typing import Final

from stdnum.ch import ssn as ch_ssn
from stdnum.ch import uid as ch_uid
from stdnum.eu import vat as eu_vat
from stdnum.gb import nhs as gb_nhs
from stdnum.gb import utr as gb_utr
from stdnum.gb import vat as gb_vat
from stdnum.is_ import kennitala as is_kennitala
from stdnum.no import fodselsnummer as no_fnr
from stdnum.us import atin as us_atin
from stdnum.us import ein as us_ein
from stdnum.us import itin as us_itin
from stdnum.us import ssn as us_ssn

from sprat.perimeter.validators.national_rule import IDENTITY, SOCIAL, TAX, Rule, digits, no_check

_NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]?")
"""HMRC, National Insurance Manual NIM39110."""
_SSN_LAYOUT = r"\d{3}-\d\d-\d{4}"
_VAT_LAYOUT = r"[A-Z]{2}.*"
"""In capitals: `it 12345678901` is a sentence."""


def _is_nino(number: str) -> bool:
    return _NINO.fullmatch(number) is not None


def _is_vat(number: str) -> bool:
    """Check a VAT number with its letters; EL is Greece, XI Northern Ireland."""
    if number[:2] in {"GB", "XI"}:
        return gb_vat.is_valid(number[2:])
    if number[:3] == "CHE":
        return ch_uid.is_valid(number[:12])
    return eu_vat.is_valid(number)


def _is_atin(number: str) -> bool:
    """Check the group, which python-stdnum leaves unchecked: 93 alone is given out (IRS)."""
    return number[0] == "9" and number[3:5] == "93" and us_atin.is_valid(number)


_VAT_SHAPES = (
    *("AA" + "9" * count for count in (5, 6, 7, 8, 9, 10, 11, 12)), "AAA99999999", "AAA9999999A", "AA99999999A",
    "AA9999999A", "AA9999999AA", "AA9A99999A", "AAAA999999999", "AA9A999999999", "AAA9999999999", "AA999999999A99",
    "AAA999999999", "AAA999999999AAA", "AAA999999999AAAA",
)  # fmt: skip

OTHER_RULES: Final = (
    Rule("EU", "vat", TAX, _VAT_SHAPES, _is_vat, "word", layout=_VAT_LAYOUT),
    Rule("GB", "nino", SOCIAL, ("AA999999A",), _is_nino, "nothing"),
    Rule("GB", "nino (no suffix)", SOCIAL, ("AA999999",), _is_nino, "word"),
    Rule("GB", "nhs", SOCIAL, digits(10), gb_nhs.is_valid, "word", ("nhs*", "patient*"), layout=r"\d{3} \d{3} \d{4}"),
    Rule("GB", "utr", TAX, (*digits(10), "9999999999A"), gb_utr.is_valid, "word", ("utr*", "unique taxpayer*")),
    Rule("US", "ssn", SOCIAL, digits(9), us_ssn.is_valid, "word", layout=_SSN_LAYOUT),
    Rule("US", "itin", TAX, digits(9), us_itin.is_valid, "word", ("itin",), layout=_SSN_LAYOUT),
    Rule("US", "atin", TAX, digits(9), _is_atin, "word", ("atin",), layout=_SSN_LAYOUT),
    Rule("US", "ein", TAX, digits(9), us_ein.is_valid, "word", ("ein", "employer id*", "fein")),
    Rule("US", "ptin", TAX, ("A99999999",), lambda number: number[0] == "P", "word", ("ptin", "preparer")),
    Rule("CH", "ahv", SOCIAL, digits(13), ch_ssn.is_valid, "nothing"),
    Rule("CH", "uid", TAX, ("AAA999999999",), ch_uid.is_valid, "nothing"),
    Rule(
        "IS",
        "kennitala",
        IDENTITY,
        digits(10),
        is_kennitala.is_valid,
        "place",
        languages=("is",),
        layout=r"\d{6}-\d{4}",
    ),
    Rule("NO", "fødselsnummer", IDENTITY, digits(11), no_fnr.is_valid, "nothing"),
    Rule("US", "ssn (said)", SOCIAL, digits(9), no_check, "word", ("ssn", "social security")),
)
