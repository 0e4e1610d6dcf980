"""The languages of multilingual models: codes of their vocabularies as BCP 47, and pairs as users write them."""

import re
from typing import Final

from sprat.base.errors import UserError

_CODES_3_2 = (
    "afr:af aka:ak amh:am ara:ar arb:ar asm:as ayr:ay aze:az azj:az bak:ba bam:bm bel:be ben:bn bod:bo bos:bs "
    "bre:br bul:bg cat:ca ces:cs cym:cy dan:da deu:de dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo "
    "fas:fa pes:fa fij:fj fin:fi fra:fr fry:fy ful:ff gaz:om gla:gd gle:ga glg:gl grn:gn guj:gu hat:ht hau:ha "
    "heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id isl:is ita:it jav:jv jpn:ja kan:kn kas:ks kat:ka kaz:kk "
    "khk:mn khm:km kik:ki kin:rw kir:ky kmr:ku kon:kg kor:ko kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt "
    "ltz:lb lug:lg lvs:lv mal:ml mar:mr mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nep:ne nld:nl nno:nn "
    "nob:nb nor:no npi:ne nya:ny oci:oc ori:or orm:om ory:or pan:pa pbt:ps plt:mg pol:pl por:pt pus:ps quy:qu "
    "ron:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es "
    "als:sq sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv swh:sw tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th "
    "tir:ti tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz uzn:uz vie:vi wol:wo xho:xh ydd:yi "
    "yid:yi yor:yo zho:zh zsm:ms zul:zu ns:nso"
)
_SHORT: Final = dict(pair.split(":") for pair in _CODES_3_2.split())
"""ISO 639-3 → ISO 639-1, for the languages of NLLB, OPUS-MT and M2M-100: BCP 47 takes the shorter one."""

_M2M_100 = (
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu "
    "hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt "
    "ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu"
)
M2M_100: Final = tuple(_M2M_100.split())
"""The languages of M2M-100 in the order of their ids, which follow those of `vocab.json`; its files may not name
them."""

_SECOND_SCRIPTS: Final = frozenset(
    ("zho_Hant", "ace_Arab", "arb_Latn", "bjn_Arab", "kas_Deva", "knc_Arab", "min_Arab", "taq_Tfng")
)
"""Codes of NLLB that need their script, for the language stands there in another script as well."""

_REGIONS: Final = frozenset(("pt_BR", "zh_TW", "zh_HK", "fr_CA", "es_MX", "en_GB"))
"""Codes with a region that says more than the language."""

_CODES: Final = (
    (re.compile(r"__([a-z]{2,3})__"), "M2M-100"),
    (re.compile(r"([a-z]{3})_([A-Z][a-z]{3})"), "NLLB"),
    (re.compile(r"([a-z]{2})_([A-Z]{2})"), "mBART"),
    (re.compile(r">>([a-z]{2,3})(?:_([A-Za-z]{2,4}))?<<"), "Marian"),
)
_TAG: Final = r"([a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-[A-Z]{2})?)"
_PAIR: Final = re.compile(f"{_TAG}-{_TAG}")


def tag_of(code: str) -> str:
    """Return the BCP 47 tag of a language: `deu`, `deu_Latn`, `de_DE`, `__de__` and `>>deu<<` are `de`."""
    bare = code.strip("_<>")
    language, _, rest = bare.partition("_")
    short = _SHORT.get(language, language)
    if bare in _SECOND_SCRIPTS or bare in _REGIONS:
        return f"{short}-{rest}"
    return short


def languages_in(tokens: list[str]) -> dict[str, str]:
    """Return tag → token for the tokens that name a language; of several for one tag, the first.

    A vocabulary has the codes of one form alone: the form that most of its codes have.
    """
    found = [{token: kind.fullmatch(token) for token in tokens if kind.fullmatch(token)} for kind, _ in _CODES]
    most = max(found, key=len)
    by_tag: dict[str, str] = {}
    for token in most:
        by_tag.setdefault(tag_of(token), token)
    return by_tag


def parse_pair(pair: str) -> tuple[str, str]:
    """Return source and target of `de-en` or `en-pt-BR`.

    Raises:
        UserError: it is no such pair.
    """
    if (found := _PAIR.fullmatch(pair)) is None:
        raise UserError(f"--language {pair}: not a pair such as de-en or en-pt-BR: source, hyphen, target")
    return found[1], found[2]
