"""Names beside a word that announces one: a title, a role, a greeting, or the closing of a letter.

The tagger misses surnames that stand alone, above all those that are words, and names in small letters. Here the words
around them decide, whatever the name is. Everywhere but in the line under a closing a name has a capital. Where no word
announces a name, `listed_surnames` knows frequent ones.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from sprat_contracts.languages import primary_subtag
from sprat_privacy.detection import Detection
from sprat_privacy.detectors.listed_surnames import find_listed
from sprat_privacy.normalisation import fold

TYPE: Final = "PERSON"
LISTED: Final = 0.01
"""Score of a listed surname: where the tagger finds the same word, it decides whether that is a person or a place."""

_TITLES: Final = (
    # en
    "mr", "mrs", "ms", "miss", "mx", "sir", "dr", "doctor", "prof", "professor",
    # de
    "herr", "herrn", "hr", "frau", "fr", "doktor", "familie", "fam",
    # fr
    "m", "mme", "mlle", "monsieur", "madame", "mademoiselle", "docteur", "maître", "professeur",
    # es
    "señor", "señora", "señorita", "sr", "sra", "srta", "don", "doña", "doctora", "profesor", "profesora",
    # it
    "signor", "signore", "signora", "signorina", "sig", "sig.ra", "sig.na", "dott", "dott.ssa", "dottor", "dottoressa",
    "professoressa", "avv", "avvocato", "ing",
    # pt
    "senhor", "senhora", "dona", "dra", "doutor", "doutora", "professora",
    # nl
    "meneer", "mevrouw", "dhr", "mevr", "mw", "familie",
)  # fmt: skip

_ROLES: Final = (
    # en
    "technician", "engineer", "driver", "neighbour", "neighbor", "colleague", "manager", "agent", "advisor", "adviser",
    "landlord", "tenant", "lawyer", "solicitor", "accountant", "nurse", "teacher", "coach", "boss", "supervisor",
    # de
    "techniker", "technikerin", "fahrer", "fahrerin", "nachbar", "nachbarin", "kollege", "kollegen", "kollegin",
    "sachbearbeiter", "sachbearbeiterin", "mitarbeiter", "mitarbeiterin", "vermieter", "vermieterin", "mieter",
    "mieterin", "anwalt", "anwältin", "rechtsanwalt", "rechtsanwältin", "berater", "beraterin", "chef", "chefin",
    # fr
    "technicien", "technicienne", "voisin", "voisine", "collègue", "conseiller", "conseillère", "chauffeur",
    "locataire", "propriétaire", "avocat", "avocate", "directeur", "directrice",
    # es
    "técnico", "técnica", "vecino", "vecina", "gestor", "gestora", "asesor", "asesora", "conductor", "conductora",
    "inquilino", "inquilina", "abogado", "abogada", "compañero", "compañera",
    # it
    "tecnico", "vicino", "vicina", "collega", "impiegato", "impiegata", "autista", "inquilino", "inquilina",
    "avvocata", "consulente",
    # pt
    "vizinho", "vizinha", "colega", "gerente", "motorista", "inquilina", "advogado", "advogada", "consultor",
    # nl
    "monteur", "buurman", "buurvrouw", "collega", "medewerker", "medewerkster", "chauffeur", "huurder", "verhuurder",
    "advocaat", "adviseur",
)  # fmt: skip

_GREETINGS: Final = (
    "hello", "hi", "hey", "dear", "good morning", "good afternoon", "good evening",
    "hallo", "moin", "servus", "liebe", "lieber", "guten tag", "guten morgen", "guten abend", "grüß gott",
    "sehr geehrter", "sehr geehrte",
    "bonjour", "bonsoir", "salut", "cher", "chère",
    "hola", "buenos días", "buenas tardes", "estimado", "estimada", "querido", "querida",
    "ciao", "buongiorno", "buonasera", "salve", "gentile", "egregio", "caro", "cara",
    "olá", "oi", "bom dia", "boa tarde", "boa noite", "caro", "prezado", "prezada",
    "goedemorgen", "goedemiddag", "goedenavond", "dag", "beste", "geachte",
)  # fmt: skip

_CLOSINGS: Final = (
    "kind regards", "best regards", "warm regards", "regards", "best wishes", "best", "sincerely", "yours sincerely",
    "yours faithfully", "yours", "cheers", "thanks", "many thanks", "thank you", "thx", "love",
    "mit freundlichen grüßen", "freundliche grüße", "mit freundlichem gruß", "viele grüße", "liebe grüße",
    "beste grüße",
    "schöne grüße", "herzliche grüße", "gruß", "grüße", "lg", "vg", "mfg", "danke", "vielen dank", "besten dank",
    "cordialement", "bien cordialement", "bien à vous", "salutations", "meilleures salutations", "bonne journée",
    "merci", "merci d'avance", "à bientôt", "amicalement",
    "un saludo", "saludos", "saludos cordiales", "atentamente", "gracias", "muchas gracias", "un abrazo", "abrazos",
    "cordiali saluti", "distinti saluti", "saluti", "un saluto", "grazie", "grazie mille", "un abbraccio",
    "cumprimentos", "com os melhores cumprimentos", "atenciosamente", "obrigado", "obrigada", "muito obrigado",
    "muito obrigada", "abraço", "um abraço", "beijinhos",
    "met vriendelijke groet", "met vriendelijke groeten", "vriendelijke groet", "vriendelijke groeten", "groet",
    "groeten", "groetjes", "bedankt", "dank je", "dank u", "alvast bedankt", "mvg",
)  # fmt: skip

_NO_NAMES: Final = frozenset(_TITLES) | frozenset(
    (  # noqa: SIM905 - a list of 250 literals is harder to read
        # en
        "all a advance again and anyway are bye customer everybody everyone everything folks for friend friends "
        "from god guys help how i if in is it ladies lot madam man mate me much my no now of on please sir so soon "
        "support team that the there this though to today tomorrow too us very we we're well world yes you your "
        "service once i'm but "
        # de
        "alle allerseits auch bitte dafür damen das dem der die dir du euch für gerne habe herren herr frau ich "
        "ihnen ihr im in kunde kundin leute mal nachbarn nein noch schon schön sehr team und vielmals voraus vorab "
        "wir wie zusammen doktor professor kollege kollegen kollegin kolleginnen freund freunde freundin welt an "
        "aus ja es nochmal service "
        # fr
        "à au avance beaucoup bien client cliente de d'avance et je le la les madame mesdames messieurs monsieur "
        "pour tous toutes tout équipe vous votre mille encore infiniment non oui "
        # es
        "a al amigo amigos cliente con de del el en equipo la las los me mil muchas muy no otra por que señor "
        "señora señores todos todas tu usted ustedes y yo sí antemano "
        # it
        "a amici anticipo anche ancora cliente come di e il in la le lo mille molto non per più signor signora "
        "signori team tutti tutte tanto un a voi lei sì "
        # pt
        "à ao bom cliente de desde do e equipa equipe eu já me mesmo muito não o pela pelo por senhor senhora "
        "senhores todos todas vocês você sim "
        # nl
        "aan alle allemaal alvast bij collega de dat een en ge heer heren het hoor ik in je klant mensen mevrouw "
        "meneer nee nog ook team u voor vrienden vriend wel ja allen "
    ).split()
)
"""Words in the place of a name that are none."""

_PARTICLES: Final = frozenset(
    "von vom van de der den dem di da do dos das du del della la le zu zum zur ten ter el al".split()  # noqa: SIM905 - as above
)
_PARTICLE: Final = rf"(?:(?:{'|'.join(sorted(_PARTICLES))})[ ])"
_ON_A_LINE: Final = frozenset({"best", "love", "yours"})
"""Closings that are ordinary words, too: after one of them and a space, no name is looked for."""
_WORD: Final = r"[^\W\d_][^\W\d_'’-]*(?:['’-][^\W\d_]+)*"
_NAME: Final = rf"(?P<name>{_PARTICLE}{{0,2}}{_WORD}(?:[ ]{_WORD})?)"


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word)))


_TITLE: Final = rf"(?:(?i:{_any(_TITLES)})(?:\.[ ]?|[ ]))"
_AFTER_TITLE: Final = re.compile(rf"(?<![\w.'’-]){_TITLE}{{1,4}}(?P<name>{_PARTICLE}{{0,2}}{_WORD})")
_AFTER_ROLE: Final = re.compile(rf"(?<![\w'’-])(?i:{_any(_ROLES)})(?:[ ]|,[ ])(?P<name>{_WORD})(?![\w'’-])")
_AFTER_GREETING: Final = re.compile(rf"(?m)^[ \t>]*(?i:{_any(_GREETINGS)})[ ]{_TITLE}{{0,4}}{_NAME}[ ]?(?=[,!:;.\n]|$)")
_AFTER_CLOSING: Final = re.compile(
    rf"(?:^|[\n.!?,;][ \t]*)(?P<closing>(?i:{_any(_CLOSINGS)}))"
    r"(?P<between>[ ]|[ ]?[,.!]?[ \t]*\n\s{0,4}|[ ]?[,!.][ ])"
    rf"(?P<name>{_PARTICLE}{{0,2}}{_WORD}(?:[ ]{_WORD}){{0,2}})[ \t]?[.!]?\s{{0,8}}\Z"
)


@dataclass(frozen=True, slots=True)
class NameContext:
    """Detects names by the title, role, greeting or closing beside them, and listed surnames that stand alone."""

    name: ClassVar[str] = "name-context"
    languages: ClassVar[None] = None

    def find(self, text: str, language: str) -> list[Detection]:
        """Return its detections; they may overlap. Time is linear in the length of the text."""
        folded = fold(text)
        spans = {folded.original(*span): LISTED for span in find_listed(folded.text, primary_subtag(language))}
        spans |= {folded.original(*span): 1.0 for span in _names(folded.text)}
        return [Detection(start, end, TYPE, self.name, score) for (start, end), score in sorted(spans.items())]


def _names(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_AFTER_TITLE, _AFTER_ROLE, _AFTER_GREETING):
        for found in pattern.finditer(text):
            words = found["name"].split(" ")
            if words[-1][0].isupper() and not _none(words):
                yield found.span("name")
    closing = _AFTER_CLOSING.search(text)
    if closing is None or _none(closing["name"].split(" ")):
        return
    if closing["between"] != " " or closing["closing"].casefold() not in _ON_A_LINE:
        yield closing.span("name")


def _none(words: list[str]) -> bool:
    """Return whether a word in the place of the name shows that none stands there."""
    folded = [word.casefold() for word in words]
    return folded[-1] in _NO_NAMES or any(word in _NO_NAMES and word not in _PARTICLES for word in folded)
