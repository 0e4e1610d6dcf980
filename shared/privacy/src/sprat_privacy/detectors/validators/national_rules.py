"""The rules for national numbers: shape, check, and what else a number needs to be taken for one.

Checks are python-stdnum's, except for those that it lacks (defined here).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

from stdnum import luhn, verhoeff
from stdnum.at import tin as at_tin
from stdnum.at import vnr as at_vnr
from stdnum.be import ssn as be_ssn
from stdnum.bg import egn as bg_egn
from stdnum.bg import pnf as bg_pnf
from stdnum.ch import ssn as ch_ssn
from stdnum.ch import uid as ch_uid
from stdnum.cy import vat as cy_vat
from stdnum.cz import rc as cz_rc
from stdnum.de import idnr as de_idnr
from stdnum.dk import cpr as dk_cpr
from stdnum.ee import ik as ee_ik
from stdnum.es import nif as es_nif
from stdnum.eu import vat as eu_vat
from stdnum.fi import hetu as fi_hetu
from stdnum.fi import ytunnus as fi_ytunnus
from stdnum.fr import nif as fr_nif
from stdnum.fr import nir as fr_nir
from stdnum.fr import siren as fr_siren
from stdnum.fr import siret as fr_siret
from stdnum.gb import nhs as gb_nhs
from stdnum.gb import utr as gb_utr
from stdnum.gb import vat as gb_vat
from stdnum.gr import amka as gr_amka
from stdnum.gr import vat as gr_vat
from stdnum.hr import oib as hr_oib
from stdnum.hu import anum as hu_anum
from stdnum.ie import pps as ie_pps
from stdnum.is_ import kennitala as is_kennitala
from stdnum.it import codicefiscale as it_cf
from stdnum.it import iva as it_iva
from stdnum.lt import asmens as lt_asmens
from stdnum.lv import pvn as lv_pvn
from stdnum.nl import bsn as nl_bsn
from stdnum.no import fodselsnummer as no_fnr
from stdnum.pl import nip as pl_nip
from stdnum.pl import pesel as pl_pesel
from stdnum.pl import regon as pl_regon
from stdnum.pt import cc as pt_cc
from stdnum.pt import nif as pt_nif
from stdnum.ro import cnp as ro_cnp
from stdnum.ro import cui as ro_cui
from stdnum.se import orgnr as se_orgnr
from stdnum.se import personnummer as se_pnr
from stdnum.si import ddv as si_ddv
from stdnum.si import emso as si_emso
from stdnum.us import atin as us_atin
from stdnum.us import ein as us_ein
from stdnum.us import itin as us_itin
from stdnum.us import ssn as us_ssn

TAX = "TAX_ID"
SOCIAL = "SOCIAL_SECURITY"
IDENTITY = "GOVERNMENT_ID"

Needs = Literal["nothing", "place", "word"]
"""What a number needs beyond its shape and its check.

nothing   no other number has this shape or passes this check
place     the shape is common and about one number in ten passes the check: the text is in a language of the country,
          and the number is one group or has no other digits next to it; or there is a context word
word      there is no check digit: there must be a context word
"""

_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"[A-Za-z]")


def shape(written: str) -> str:
    """Return the shape of letters and digits: `9` for each digit, `A` for each letter."""
    return _LETTER.sub("A", _DIGIT.sub("9", written))


@dataclass(frozen=True, slots=True)
class Rule:
    """One number of one country."""

    country: str
    name: str
    type: str
    shapes: tuple[str, ...]
    """As `shape` returns them, without separators."""
    is_valid: Callable[[str], bool]
    """Check of the letters and digits in upper case; with `as_written`, separators included."""
    needs: Needs
    words: tuple[str, ...] = ()
    """Context words besides those of its type."""
    languages: tuple[str, ...] = ()
    layout: str | None = None
    """A pattern; a number in this layout needs nothing else."""
    as_written: bool = False


def no_check(_: str) -> bool:
    """Accept any number: it has no check digit."""
    return True


def digits(*counts: int) -> tuple[str, ...]:
    """Return the shapes of numbers of digits alone, for each count."""
    return tuple("9" * count for count in counts)


LONGEST: Final = 18
"""Letters and digits of the longest number."""


# The EU


def _german_insurance(number: str) -> bool:
    """Check a Rentenversicherungsnummer: the letter as two digits, weights, their cross sums modulo 10 (VKVV § 2)."""
    plain = number[:8] + f"{ord(number[8]) - 64:02d}" + number[9:11]
    weighted = (int(digit) * weight for digit, weight in zip(plain, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    day, month = int(number[2:4]), int(number[4:6])
    dated = (1 <= day <= 31 or 51 <= day <= 81) and 1 <= month <= 12
    return dated and sum(value // 10 + value % 10 for value in weighted) % 10 == int(number[11])


def _luxembourgish(number: str) -> bool:
    """Check a matricule: a date, eleven digits with their Luhn digit, the eleven with their Verhoeff digit."""
    dated = 1850 <= int(number[:4]) <= 2100 and 1 <= int(number[4:6]) <= 12 and 1 <= int(number[6:8]) <= 31
    return dated and luhn.is_valid(number[:12]) and verhoeff.is_valid(number[:11] + number[12])


def _hungarian(number: str) -> bool:
    return hu_anum.is_valid(number[:8])


def _full_swedish(number: str) -> bool:
    return number[:2] in {"18", "19", "20"} and se_pnr.is_valid(number)


_CODICE_FISCALE: Final = tuple("AAAAAA{}{}A{}{}A{}{}{}A".format(*choice) for choice in product("9A", repeat=7))
"""Italian fiscal codes: where two people would share one, letters replace some of its digits (omocodia)."""

_HETU: Final = ("999999999A", *digits(10), "999999A999A", "999999A9999")
"""The century is a `-`, a `+` or a letter."""

_PNR_LAYOUT: Final = r"\d{6}[-+]\d{4}"
_NIP_LAYOUT: Final = r"\d{3}-(?:\d{3}-\d\d-\d\d|\d\d-\d\d-\d{3})"

EU_RULES: Final = (
    Rule("AT", "tin", TAX, digits(9), at_tin.is_valid, "place", languages=("de",), layout=r"\d\d-\d{3}/\d{4}"),
    Rule("AT", "vnr", SOCIAL, digits(10), at_vnr.is_valid, "place", languages=("de",)),
    Rule("BE", "nn", IDENTITY, digits(11), be_ssn.is_valid, "nothing"),
    Rule("BG", "egn", IDENTITY, digits(10), bg_egn.is_valid, "nothing"),
    Rule("BG", "pnf", IDENTITY, digits(10), bg_pnf.is_valid, "place", languages=("bg",)),
    Rule("CY", "tic", TAX, ("99999999A",), cy_vat.is_valid, "place", languages=("el",)),
    Rule("CZ", "rc", IDENTITY, digits(10), cz_rc.is_valid, "nothing"),
    Rule("CZ", "rc (until 1953)", IDENTITY, digits(9), cz_rc.is_valid, "word", layout=r"\d{6}/\d{3}"),
    Rule("DE", "idnr", TAX, digits(11), de_idnr.is_valid, "nothing"),
    Rule("DE", "stnr", TAX, digits(10, 11, 13), no_check, "word", ("steuernummer*", "steuernr*", "st.-nr*", "stnr")),
    Rule("DE", "rvnr", SOCIAL, ("99999999A999",), _german_insurance, "nothing"),
    Rule("DK", "cpr", IDENTITY, digits(10), dk_cpr.is_valid, "place", languages=("da",), layout=r"\d{6}-\d{4}"),
    Rule("EE", "ik", IDENTITY, digits(11), ee_ik.is_valid, "nothing"),
    Rule("ES", "nif", TAX, ("99999999A", "A9999999A", "A99999999"), es_nif.is_valid, "nothing"),
    Rule("ES", "nuss", SOCIAL, digits(12), no_check, "word"),
    Rule("FI", "hetu", IDENTITY, _HETU, fi_hetu.is_valid, "nothing", as_written=True),
    Rule("FI", "ytunnus", TAX, digits(8), fi_ytunnus.is_valid, "word", ("y-tunnus*",), layout=r"\d{7}-\d"),
    Rule("FR", "nir", SOCIAL, (*digits(15), "999999A99999999"), fr_nir.is_valid, "nothing"),
    Rule("FR", "nir (no key)", SOCIAL, (*digits(13), "999999A999999"), no_check, "word", ("sécu*",)),
    Rule("FR", "spi", TAX, digits(13), fr_nif.is_valid, "nothing"),
    Rule("FR", "siren", TAX, digits(9), fr_siren.is_valid, "place", languages=("fr",)),
    Rule("FR", "siret", TAX, digits(14), fr_siret.is_valid, "place", languages=("fr",)),
    Rule("GR", "amka", SOCIAL, digits(11), gr_amka.is_valid, "nothing"),
    Rule("GR", "afm", TAX, digits(9), gr_vat.is_valid, "place", ("afm",), ("el",)),
    Rule("HR", "oib", TAX, digits(11), hr_oib.is_valid, "place", ("oib",), ("hr",)),
    Rule("HU", "adószám", TAX, digits(11), _hungarian, "word", layout=r"\d{8}-[1-5]-\d\d"),
    Rule("HU", "adóazonosító jel", TAX, digits(10), lambda number: number[0] == "8", "word"),
    Rule("HU", "taj", SOCIAL, digits(9), no_check, "word"),
    Rule("IE", "pps", IDENTITY, ("9999999A", "9999999AA"), ie_pps.is_valid, "nothing"),
    Rule("IT", "codice fiscale", TAX, _CODICE_FISCALE, it_cf.is_valid, "nothing"),
    Rule("IT", "partita iva", TAX, digits(11), it_iva.is_valid, "place", languages=("it",)),
    Rule("LT", "asmens", IDENTITY, digits(11), lt_asmens.is_valid, "nothing"),
    Rule("LU", "matricule", IDENTITY, digits(13), _luxembourgish, "nothing"),
    Rule("LV", "personas kods", IDENTITY, digits(11), lv_pvn.is_valid, "place", (), ("lv",), r"\d{6}-\d{5}"),
    Rule("MT", "id", IDENTITY, ("9999999A",), lambda number: number[-1] in "MGAPLHBZ", "word"),
    Rule("NL", "bsn", IDENTITY, digits(9), nl_bsn.is_valid, "place", languages=("nl",)),
    Rule("PL", "pesel", IDENTITY, digits(11), pl_pesel.is_valid, "nothing"),
    Rule("PL", "nip", TAX, digits(10), pl_nip.is_valid, "place", (), ("pl",), _NIP_LAYOUT),
    Rule("PL", "regon", TAX, digits(9, 14), pl_regon.is_valid, "place", ("regon",), ("pl",)),
    Rule("PT", "cc", IDENTITY, ("999999999AA9",), pt_cc.is_valid, "nothing"),
    Rule("PT", "nif", TAX, digits(9), pt_nif.is_valid, "place", languages=("pt",)),
    Rule("PT", "niss", SOCIAL, digits(11), no_check, "word"),
    Rule("RO", "cnp", IDENTITY, digits(13), ro_cnp.is_valid, "nothing"),
    Rule("RO", "cui", TAX, digits(6, 7, 8, 9, 10), ro_cui.is_valid, "word", ("cui", "cod unic*")),
    Rule("SE", "pnr", IDENTITY, digits(10), se_pnr.is_valid, "place", (), ("sv",), _PNR_LAYOUT, as_written=True),
    Rule("SE", "pnr (full)", IDENTITY, digits(12), _full_swedish, "nothing", as_written=True),
    Rule("SE", "orgnr", TAX, digits(10), se_orgnr.is_valid, "place", ("org*",), ("sv",), layout=r"\d{6}-\d{4}"),
    Rule("SI", "emšo", IDENTITY, digits(13), si_emso.is_valid, "nothing"),
    Rule("SI", "davčna", TAX, digits(8), si_ddv.is_valid, "place", languages=("sl",)),
)  # fmt: skip
"""The Slovak rodné číslo is the Czech one; more numbers of Cyprus, Luxembourg and Malta are found as VAT numbers."""

# The UK, the US, neighbours of the EU, and VAT numbers with the letters of their country


_NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]?")
"""HMRC, National Insurance Manual NIM39110."""
_SSN_LAYOUT = r"\d{3}-\d\d-\d{4}"
_VAT_LAYOUT = r"[A-Z]{2}.*"
"""The letters in upper case: `it 12345678901` is part of a sentence."""


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
    """Check also the group, which python-stdnum does not: only 93 is assigned (IRS)."""
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
