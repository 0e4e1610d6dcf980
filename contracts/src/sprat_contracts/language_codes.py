"""Codes of languages that have two letters, ISO 639-1, and what people write in place of these."""

from typing import Final

from sprat_contracts.languages import AUTO

_CODES: Final = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bh:bih bi:bis
bm:bam bn:ben bo:bod:tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces:cze cu:chu cv:chv cy:cym:wel da:dan
de:deu:ger dv:div dz:dzo ee:ewe el:ell:gre en:eng eo:epo es:spa et:est eu:eus:baq fa:fas:per ff:ful fi:fin fj:fij fo:fao
fr:fra:fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye:arm
hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl:ice it:ita iu:iku ja:jpn jv:jav ka:kat:geo kg:kon ki:kik
kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin
lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri:mao mk:mkd:mac ml:mal mn:mon mr:mar ms:msa:may mt:mlt my:mya:bur na:nau
nb:nob nd:nde ne:nep ng:ndo nl:nld:dut nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan
pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron:rum:mol ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs
si:sin sk:slk:slo sl:slv sm:smo sn:sna so:som sq:sqi:alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk
th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie
vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho:chi zu:zul
"""
"""Each with those of ISO 639-2 for the same language, which BCP 47 does not know: the shortest one counts there."""

_WITHDRAWN: Final = "in:id iw:he ji:yi jw:jv mo:ro"
"""Which old systems write."""
_COUNTRIES: Final = "at:de cn:zh cz:cs dk:da gb:en gr:el jp:ja rs:sr ua:uk us:en vn:vi"

_LANGUAGES: Final = [each.split(":") for each in _CODES.split()]
_SHORT: Final = frozenset(short for short, *_ in _LANGUAGES)
_INSTEAD: Final = {
    **{longer: short for short, *all_longer in _LANGUAGES for longer in all_longer},
    **dict(each.split(":") for each in f"{_WITHDRAWN} {_COUNTRIES}".split()),
    "ge": "de, or ka for Georgian",
    "mul": AUTO,
    "und": AUTO,
}
"""Code → what was probably meant."""


def wrong_code(tag: str) -> str | None:
    """Return that a tag begins with no code of a language in BCP 47, and what to write; None where it may be one.

    A code of three letters may be one where ISO 639-1 has no shorter one for it; it is not looked up in a registry.
    """
    code, hyphen, rest = tag.partition("-")
    own = code.lower()
    if own in _SHORT or (len(own) > 2 and own not in _INSTEAD):
        return None
    instead = _INSTEAD.get(own, "one such as de or pt-BR")
    kept = f"{hyphen}{rest}" if instead in _SHORT else ""
    return f"{code} is no language tag: write {instead}{kept}"
