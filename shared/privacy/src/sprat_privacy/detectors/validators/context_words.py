"""Context words: they say what a number near them is, in the languages of the EU, Norway and Iceland.

They decide about numbers without a check digit and about numbers whose form is common. `word*` also matches longer
words.
"""

from typing import Final

from sprat_privacy.detectors.validators.prepared_text import any_word

PHONE_WORDS = any_word(
    # en
    "phone*", "telephone*", "tel", "call", "calls", "called", "mobile*", "cell", "cellphone", "fax", "whatsapp",
    "sms", "text me", "reach me", "reached", "dial", "ring me", "ring us", "contact number", "messages to",
    "answering at",
    # de, nl
    "telefon*", "handy*", "mobil*", "ruf", "rufen", "anruf*", "anzurufen", "rückruf*", "zurückruf*", "durchwahl",
    "bel", "bellen", "gsm", "mobiel*", "telefoon*",
    # fr, es, it, pt, ro
    "téléphon*", "appel*", "portable", "joindre", "teléfono*", "llame", "llamar", "llámame", "llámeme", "móvil",
    "cellulare", "chiama*", "chiami*", "telefone*", "telemóvel", "celular", "ligar", "ligue", "sunați", "sunaţi",
    "mobilul",
    # da, sv, no, fi, is, et, lv, lt
    "ring", "ringa", "ringe", "tlf", "tfn", "puhelin*", "soita*", "matkapuhelin*", "sími*", "helista*", "mobiil*",
    "tālru*", "zvan*", "skambin*",
    # pl, cs, sk, sl, hr, hu, mt, ga
    "komórk*", "dzwoni*", "zadzwo*", "volej*", "zavolej*", "zavolaj*", "pokliči*", "nazov*", "hívj*", "hívás*",
    "ċempel*", "fón", "glao*", "guthán*",
    # bg, el, ru, uk
    "тел", "телефон*", "обад*", "мобил*", "τηλ", "τηλέφων*", "κινητ*", "καλέσ*", "звон*", "дзвон*",
)  # fmt: skip

PHONE_WORDS_AFTER = any_word("phone", "office", "mobile", "cell", "fax", "home", "work", "tel", "handy", "mobil")

CARD_WORDS = any_word(
    "card*", "cc", "visa", "mastercard", "amex", "karte*", "kreditkarte*", "carte*", "tarjeta*", "carta",
    "cartão", "kaart*", "creditcard*", "kort*", "kreditkort*", "kortti*", "luottokort*", "karta", "karty",
    "kartę", "kártya*", "kartic*", "карт*", "κάρτα*", "kaart", "kredītkart*", "kortel*", "cárta",
)  # fmt: skip

TAX_WORDS: Final = (
    "tax*", "tin", "vat*", "steuer*", "ust*", "uid", "fiscal*", "fiscaal", "impôt*", "tva", "iva", "btw*",
    "belasting*", "moms*", "skatt*", "skatte*", "skat", "vero*", "alv*", "podat*", "nip", "dph", "daň*", "dič",
    "adó*", "porez*", "davč*", "davk*", "данъ*", "ддс", "φορολ*", "αφμ", "α.φ.μ*", "φπα", "maks*", "käibe*", "nodok*",
    "pvn", "mokes*", "pvm", "taxxa", "cáin*", "cif", "nif", "siren", "siret", "partita", "p.iva", "contribuinte",
    "contribuyente",
)  # fmt: skip

IDENTITY_WORDS: Final = (
    "national id*", "identity", "identification", "id number", "id no", "id nr", "id card", "personal number",
    "personal code", "ausweis*", "identität*", "identité", "identidad", "identità", "identidade", "identitate",
    "identiteit*", "dni", "nie", "burgerservice*", "bsn", "sofi*", "rijksregister*", "registre national", "cpr*",
    "personnummer*", "personnr", "henkilötunnu*", "hetu", "pesel", "dowód", "dowodu", "rodné číslo", "rodného čísla",
    "rč", "osobní*", "občansk*", "személyi*", "oib", "osobn*", "emšo", "егн", "лична карта", "ταυτότητ*", "αμκα",
    "isikukood*", "personas kod*", "asmens kod*", "kennital*", "fødselsn*", "cnp", "karta tal-identità", "pps*",
)  # fmt: skip

SOCIAL_WORDS: Final = (
    "social security", "ssn", "national insurance", "nino", "ni number", "insurance number", "sozialversicherung*",
    "versicherungsn*", "svnr", "sv-nr", "rentenversicherung*", "sécurité sociale", "numéro de sécu", "nir",
    "seguridad social", "nuss", "segurança social", "niss", "previdenza", "sociale zekerheid", "zus", "taj*",
    "társadalombiztosítás*", "ahv*", "avs", "nhs*", "zdravstven*", "social insurance", "itin",
)  # fmt: skip

DOCUMENT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "PASSPORT": (
        "passport*", "reisepass*", "pass-nr", "passnummer*", "passnr", "passeport*", "pasaporte*", "passaport*",
        "paspoort*", "paszport*", "číslo pasu", "cestovní pas*", "útlevél*", "pašaport*", "pasport*", "putovnic*",
        "potni list*", "potnega lista", "паспорт*", "διαβατήρι*", "passi*", "passin numero", "vegabréf*",
        "pases numur*", "paso numer*",
    ),
    "DRIVERS_LICENSE": (
        "driver's licen*", "driver’s licen*", "drivers licen*", "driving licen*", "driver licen*", "führerschein*",
        "fahrerlaubnis*", "permis de conduire", "permiso de conducir", "carnet de conducir", "patente di guida",
        "patente", "carta de condução", "rijbewijs*", "prawo jazdy", "prawa jazdy", "řidičsk*", "vodičsk*",
        "jogosítvány*", "vozačk*", "voznišk*", "шофьорск*", "δίπλωμα οδήγησης", "kørekort*", "körkort*", "førerkort*",
        "ajokort*", "ökuskírteini*", "permis auto", "juhiloa*",
    ),
    "GOVERNMENT_ID": (
        "id card*", "identity card*", "id-card*", "personalausweis*", "ausweisn*", "ausweis-n*", "carte d'identité",
        "carte d’identité", "documento de identidad", "carta d'identità", "carta d’identità", "cartão de cidadão",
        "bilhete de identidade", "identiteitskaart*", "dowód osobist*", "dowodu osobist*", "občanský průkaz",
        "občanského průkazu", "občiansk* preukaz*", "személyi igazolvány*", "osobna iskaznica", "osobne iskaznice",
        "osebna izkaznica", "osebne izkaznice", "лична карта", "δελτίο ταυτότητας", "δελτίου ταυτότητας",
        "henkilökort*", "id-kort*", "carte de identitate", "residence permit*", "aufenthaltstitel*",
    ),
}  # fmt: skip
"""Type of document → words for it; the number after the word belongs to it, whatever its form."""
