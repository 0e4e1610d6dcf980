"""National numbers of the EU's countries. Checks are python-stdnum's, but for two that it lacks (see below)."""

from typing import Final

from stdnum import luhn, verhoeff
from stdnum.at import tin as at_tin
from stdnum.at import vnr as at_vnr
from stdnum.be import ssn as be_ssn
from stdnum.bg import egn as bg_egn
from stdnum.bg import pnf as bg_pnf
from stdnum.cy import vat as cy_vat
from stdnum.cz import rc as cz_rc
from stdnum.de import idnr as de_idnr
from stdnum.dk import cpr as dk_cpr
from stdnum.ee import ik as ee_ik
from stdnum.es import nif as es_nif
from stdnum.fi import hetu as fi_hetu
from stdnum.fi import ytunnus as fi_ytunnus
from stdnum.fr import nif as fr_nif
from stdnum.fr import nir as fr_nir
from stdnum.fr import siren as fr_siren
from stdnum.fr import siret as fr_siret
from stdnum.gr import amka as gr_amka
from stdnum.gr import vat as gr_vat
from stdnum.hr import oib as hr_oib
from stdnum.hu import anum as hu_anum
from stdnum.ie import pps as ie_pps
from stdnum.it import codicefiscale as it_cf
from stdnum.it import iva as it_iva
from stdnum.lt import asmens as lt_asmens
from stdnum.lv import pvn as lv_pvn
from stdnum.nl import bsn as nl_bsn
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

from sprat.perimeter.validators.national_rule import IDENTITY, SOCIAL, TAX, Rule, digits, no_check
from sprat.perimeter.validators.national_shapes import CODICE_FISCALE


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
    Rule("IT", "codice fiscale", TAX, CODICE_FISCALE, it_cf.is_valid, "nothing"),
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
"""The Slovak rodné číslo is the Czech one; Cyprus, Luxembourg and Malta have more as VAT numbers."""
