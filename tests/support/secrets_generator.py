"""Texts with planted secrets, generated from a seed, so that a leak is reproducible.

No secret is real: names are random combinations of common ones, numbers and keys are random with valid check digits.
"""

import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

import phonenumbers
from stdnum import iban, luhn

TASKS = ("intent", "ner", "translation")
HEX, ALNUM = "0123456789abcdef", string.ascii_letters + string.digits
CAPITALS = string.ascii_uppercase + string.digits

# Country: given names, surnames.
NAMES = {
    "Germany": ("Sabine Jürgen Lena Matthias Heike", "Schröder Krüger Weißenfels Hoffmann Bachmann"),
    "France": ("Hélène Thibault Aurélie Mathieu Chloé", "Lefèvre Dubois Moreau Garnier Chevalier"),
    "Italy": ("Giulia Matteo Chiara Lorenzo Alessandra", "Esposito Colombo Ricci D'Angelo Ferrari"),
    "Spain": ("Lucía Javier Begoña Álvaro Carmen", "García Fernández Muñoz Ibáñez Castillo"),
    "Portugal": ("João Beatriz Tiago Inês Gonçalo", "Carvalho Gonçalves Ferreira Teixeira Magalhães"),
    "Netherlands": ("Sanne Pieter Femke Joost Marieke", "Jansen Bakker Visser Hendriks Mulder"),
    "England": ("Emily Oliver Charlotte Harry Imogen", "Whitaker Thompson Ashworth Hughes Pemberton"),
    "Ireland": ("Siobhán Cormac Aoife Declan Niamh", "O'Sullivan Murphy Gallagher McCarthy Byrne"),
    "Poland": ("Agnieszka Krzysztof Małgorzata Paweł Zofia", "Kowalczyk Wójcik Zieliński Nowak Szymańska"),
    "Czechia": ("Jiří Kateřina Tomáš Lenka Ondřej", "Dvořák Novotný Procházka Černý Svoboda"),
    "Hungary": ("László Zsófia Gábor Ildikó Katalin", "Szabó Kovács Horváth Tóth Nagy"),
    "Romania": ("Ștefan Ioana Mihai Andreea Răzvan", "Popescu Ionescu Dumitrescu Constantinescu Munteanu"),
    "Greece": ("Dimitris Eleni Nikos Katerina Giorgos", "Papadopoulos Nikolaidis Georgiou Karras Makris"),
    "Sweden": ("Åsa Björn Linnea Göran Ebba", "Lindqvist Johansson Sjöberg Nyström Bergström"),
    "Norway": ("Øystein Ingrid Håkon Solveig Sigrid", "Haugen Kristiansen Bjørnstad Nygård Solberg"),
    "Denmark": ("Søren Mette Rasmus Kirsten Jesper", "Nielsen Sørensen Mikkelsen Østergaard Kjær"),
    "Finland": ("Aino Väinö Päivi Juhani Kaisa", "Virtanen Mäkinen Korhonen Hämäläinen Laine"),
    "Turkey": ("Ayşe Mehmet Elif Çağlar Zeynep", "Yılmaz Öztürk Demir Kaya Şahin"),
    "Ukraine": ("Oksana Taras Olena Bohdan Iryna", "Shevchenko Kovalenko Bondarenko Tkachenko Melnyk"),
    "India": ("Priya Rajesh Ananya Vikram Lakshmi", "Sharma Venkataraman Chatterjee Patel Krishnan"),
    "Pakistan": ("Ayesha Bilal Fatima Imran Zainab", "Malik Qureshi Siddiqui Chaudhry Hussain"),
    "Egypt": ("Mahmoud Nour Yasmin Khaled Amira", "Hassan El-Sayed Abdelrahman Mansour Farouk"),
    "Nigeria": ("Chinedu Ngozi Oluwaseun Adaeze Emeka", "Okafor Adeyemi Okonkwo Balogun Eze"),
    "Kenya": ("Wanjiru Kamau Achieng Otieno Njeri", "Mwangi Odhiambo Kipchoge Wambui Kariuki"),
    "China": ("Xiaoming Meiling Haoran Yifei Jianguo", "Zhang Huang Zhou Ouyang Liang"),
    "Japan": ("Haruki Sakura Kenji Yumiko Takeshi", "Tanaka Yamamoto Watanabe Kobayashi Nakamura"),
    "Korea": ("Min-jun Seo-yeon Ji-hoon Ha-eun Dong-hyun", "Kim Park Choi Jeong Kang"),
    "Vietnam": ("Thảo Minh Hương Tuấn Phương", "Nguyễn Trần Phạm Hoàng Đặng"),
    "Brazil": ("Thiago Juliana Rafael Camila Vinícius", "Oliveira Nascimento Barbosa Cardoso Araújo"),
    "Mexico": ("Guadalupe Alejandro Ximena Rodrigo Fernanda", "Hernández Ramírez Gutiérrez Morales Zúñiga"),
    "Iran": ("Shirin Dariush Parisa Behrouz Nasrin", "Hosseini Ahmadi Rostami Tehrani Karimi"),
    "Israel": ("Yael Avraham Noa Eitan Shira", "Cohen Levi Mizrahi Peretz Friedman"),
}
"""32 countries."""

BANKS = (
    ("DE", "n18"), ("AT", "n16"), ("CH", "n17"), ("BE", "n12"), ("NL", "a4n10"), ("FR", "n20c1n2"), ("ES", "n20"),
    ("IT", "a1n22"), ("GB", "a4n14"), ("IE", "a4n14"), ("PL", "n24"), ("SE", "n20"), ("DK", "n14"), ("NO", "n11"),
    ("FI", "n14"), ("LU", "n3c13"), ("CZ", "n20"),
)  # fmt: skip

# Prefix and length of the number.
CARDS = (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16), ("36", 14))

PHONES = ("DE", "AT", "CH", "FR", "ES", "IT", "PT", "NL", "BE", "GB", "IE", "US", "PL", "SE", "DK", "NO", "FI", "TR",
          "IN", "NG", "KE", "BR", "MX", "JP", "KR", "VN")  # fmt: skip
AT_HOME = {"en": ("GB", "US"), "de": ("DE",), "fr": ("FR",), "es": ("ES",), "it": ("IT",), "pt": ("PT",), "nl": ("NL",)}
"""Where a number is written as people of that language write their own."""

# A maker's prefix, what follows (alphabet, length), what ends it.
KEYS = (
    ("AKIA", CAPITALS, 16, ""), ("ASIA", CAPITALS, 16, ""), ("AIza", ALNUM, 35, ""), ("GOCSPX-", ALNUM, 28, ""),
    ("ya29.", ALNUM, 120, ""), ("dop_v1_", HEX, 64, ""), ("dapi", HEX, 32, ""), ("ghp_", ALNUM, 36, ""),
    ("ghs_", ALNUM, 36, ""), ("github_pat_", ALNUM, 82, ""), ("glpat-", ALNUM, 20, ""), ("npm_", ALNUM, 36, ""),
    ("pypi-AgEIcHlwaS5vcmc", ALNUM, 120, ""), ("rubygems_", HEX, 48, ""), ("dckr_pat_", ALNUM, 27, ""),
    ("hvs.", ALNUM, 90, ""), ("ATATT3xFfGF0", ALNUM, 180, ""), ("sk-proj-", ALNUM, 120, ""), ("sk-", ALNUM, 48, ""),
    ("sk-ant-api03-", ALNUM, 93, "AA"), ("hf_", ALNUM, 34, ""), ("gsk_", ALNUM, 52, ""), ("sk_live_", ALNUM, 24, ""),
    ("rk_test_", ALNUM, 99, ""), ("shpat_", HEX, 32, ""), ("xoxb-123456789012-123456789012-", ALNUM, 24, ""),
    ("SK", HEX, 32, ""), ("key-", HEX, 32, ""), ("xkeysib-" + "a1" * 32 + "-", ALNUM, 16, ""), ("figd_", ALNUM, 40, ""),
    ("lin_api_", ALNUM, 40, ""), ("NRAK-", CAPITALS, 27, ""), ("sbp_", HEX, 40, ""),
)  # fmt: skip
"""33 formats."""

TEMPLATES = {
    "en": (
        "Hello, this is {name}. My card {card} was declined twice, please call me back on {phone}.",
        "Please transfer 450 euros to {name}, {iban}, before Friday.",
        "{name} asked why the invoice was sent to {email} and not to her new address.",
        "I pasted my key {key} into the chat by mistake, can you block it? Regards, {name}",
        "We refunded {name} to the account {iban}, but the bank sent it back.",
        "Dear team, the new colleague is {name} ({email}, {phone}).",
        "the deploy fails with token={key} since yesterday, ask {name}",
        "Could you tell {name} that the appointment is moved to Monday?",
        "My husband {name} can no longer log in with {email}.",
        "Card number {card}, holder {name}. Why was I charged twice?",
    ),
    "de": (
        "Guten Tag, mein Name ist {name}, meine IBAN lautet {iban}. Warum wurde nichts gebucht?",
        "Bitte rufen Sie {name} unter {phone} zurück, es geht um die Karte {card}.",
        "Die Rechnung für {name} ging an {email}, die Adresse ist falsch.",
        "Der Schlüssel {key} steht im Protokoll; {name} soll ihn sperren.",
    ),
    "fr": (
        "Bonjour, je m'appelle {name} et ma carte {card} est bloquée depuis hier.",
        "Le virement vers {iban} au nom de {name} n'est pas arrivé.",
        "Merci de rappeler {name} au {phone} ou d'écrire à {email}.",
    ),
    "es": (
        "Buenos días, soy {name}. No puedo pagar con la tarjeta {card}.",
        "La transferencia a {iban} para {name} fue devuelta.",
        "Llame por favor a {name} al {phone}; su correo es {email}.",
    ),
    "it": (
        "Buongiorno, sono {name}, la mia carta {card} non funziona.",
        "Il bonifico a {name}, {iban}, non è arrivato. Scrivete a {email}.",
    ),
    "pt": (
        "Bom dia, o meu nome é {name} e o meu telefone é {phone}.",
        "A transferência para {name}, {iban}, foi recusada.",
    ),
    "nl": (
        "Goedemorgen, ik ben {name} en mijn rekening is {iban}.",
        "Kunt u {name} terugbellen op {phone}? De kaart {card} werkt niet.",
    ),
}
ENGLISH_SHARE = 0.6


@dataclass(frozen=True)
class Secret:
    kind: str
    value: str


@dataclass(frozen=True)
class Planted:
    id: str
    text: str
    language: str
    task: str
    secrets: tuple[Secret, ...]


def planted(count: int, seed: int) -> Iterator[Planted]:
    """Yield this many texts, with the tasks in turn."""
    maker = Maker(random.Random(seed))
    for number in range(count):
        yield maker.text(number)


class Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.keys = 0
        self.language = "en"

    def text(self, number: int) -> Planted:
        others = [language for language in TEMPLATES if language != "en"]
        language = "en" if self.chance.random() < ENGLISH_SHARE else self.chance.choice(others)
        template = self.chance.choice(TEMPLATES[language])
        self.language = language
        secrets = [Secret(kind, getattr(self, kind)()) for kind in self._kinds(template)]
        text = template.format(**{secret.kind: secret.value for secret in secrets})
        return Planted(f"t-{number}", text, language, TASKS[number % len(TASKS)], tuple(secrets))

    def name(self) -> str:
        given, surnames = NAMES[self.chance.choice(list(NAMES))]
        return f"{self.chance.choice(given.split())} {self.chance.choice(surnames.split())}"

    def iban(self) -> str:
        while True:
            country, form = self.chance.choice(BANKS)
            body = "".join(self._drawn(form))
            number = country + iban.calc_check_digits(f"{country}00{body}") + body
            if iban.is_valid(number):
                return iban.format(number) if self.chance.random() < 0.5 else number

    def card(self) -> str:
        prefix, length = self.chance.choice(CARDS)
        body = prefix + "".join(self.chance.choices(string.digits, k=length - len(prefix) - 1))
        number = body + luhn.calc_check_digit(body)
        separator = self.chance.choice(("", " ", "-"))
        return separator.join(number[at : at + 4] for at in range(0, length, 4))

    def phone(self) -> str:
        while True:
            at_home = self.chance.random() < 0.3
            region = self.chance.choice(AT_HOME[self.language] if at_home else PHONES)
            kind = self.chance.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            number.national_number += self.chance.randrange(100_000)
            if phonenumbers.is_valid_number(number):
                abroad = (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164)
                form = phonenumbers.PhoneNumberFormat.NATIONAL if at_home else self.chance.choice(abroad)
                return phonenumbers.format_number(number, form)

    def email(self) -> str:
        words = "".join(self.chance.choices(string.ascii_lowercase, k=9))
        return f"{words[:4]}.{words[4:]}@{self.chance.choice(('example.org', 'mail.example.com', 'firma.example'))}"

    def key(self) -> str:
        prefix, alphabet, length, ending = KEYS[self.keys % len(KEYS)]
        self.keys += 1
        return prefix + "".join(self.chance.choices(alphabet, k=length)) + ending

    def _drawn(self, form: str) -> Iterator[str]:
        alphabets = {"n": string.digits, "a": string.ascii_uppercase, "c": CAPITALS}
        for alphabet, count in re.findall(r"([nac])([0-9]+)", form):
            yield "".join(self.chance.choices(alphabets[alphabet], k=int(count)))

    @staticmethod
    def _kinds(template: str) -> list[str]:
        return [kind for _, kind, _, _ in string.Formatter().parse(template) if kind]
