"""Made-up sentences of four subjects in two languages, so different from each other that none repeats another one."""

import random
from collections.abc import Iterator

WORDS = {
    "en": {
        "leave": "vacation holiday absence days off leave sabbatical trip beach",
        "payroll": "salary payslip wages bonus overtime tax paycheck deduction",
        "badge": "badge door turnstile keycard entrance gate lobby access",
        "laptop": "laptop screen keyboard charger battery software monitor reboot",
        "oos": "tomato opera river goalkeeper volcano recipe violin emperor",
    },
    "de": {
        "leave": "Urlaub Ferien Abwesenheit Resturlaub Elternzeit Reise Strand Freistellung",
        "payroll": "Gehalt Lohnzettel Lohn Prämie Überstunden Steuer Abrechnung Abzug",
        "badge": "Ausweis Tür Drehkreuz Schlüsselkarte Eingang Schranke Empfang Zutritt",
        "laptop": "Laptop Bildschirm Tastatur Ladegerät Akku Software Monitor Neustart",
        "oos": "Tomate Oper Fluss Torwart Vulkan Rezept Geige Kaiser",
    },
}
FILLING = {
    "en": "please today colleague again since monday nobody office question about thanks still twice urgent wrong "
    "before answer manager second week morning letter sorry hello floor",
    "de": "bitte heute Kollege wieder seit Montag niemand Büro Frage wegen danke noch zweimal dringend falsch vorher "
    "Antwort Leitung zweite Woche morgens Brief leider hallo Stock",
}
LABELS = ("badge", "laptop", "leave", "payroll")


def rows(count: int, seed: int, language: str = "en", outside: int = 0) -> list[tuple[str, str]]:
    """Return so many texts with their labels in turn, and texts outside every label, which have the label `oos`."""
    draw = random.Random(seed)
    labels = [LABELS[number % len(LABELS)] for number in range(count)] + ["oos"] * outside
    return list(zip(_texts(labels, draw, language), labels, strict=True))


def _texts(labels: list[str], draw: random.Random, language: str) -> Iterator[str]:
    for label in labels:
        words = [*draw.sample(WORDS[language][label].split(), 3), *draw.sample(FILLING[language].split(), 5)]
        draw.shuffle(words)
        yield " ".join(words)
