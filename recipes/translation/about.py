"""The texts of the card, and the figures that they state."""

LICENCE = "CC-BY-SA-4.0"
OUTSIDE_SHARE = 0.2
ASIDE_EVERY = 15
"""One training pair in this many is set aside: its words are not counted, and the estimate is fitted on it."""

TRAINED_WEIGHT = 0.5
"""Weight of such a pair; a development pair has 1. It is lower because the network was trained on it."""

KEPT_POOR = 0.1
LONGEST_SENTENCE = 79
"""Pieces; the length of the longest training sentence."""

LONGEST_TEXT = 2_000
"""Code points, about 50 sentences. A longer text would be computed but hardly ever kept."""

DECLINE_BELOW = 0.3
"""Below this confidence a translation is a guess and not published: of the development sentences between 0.1 and 0.3 a
third are poor (chrF below 40), and fewer are good."""

KEEP_AT_RULE = (
    f"the least hundredth at which at most {KEPT_POOR:.0%} of the sentences kept have a chrF below 40, on the "
    f"development sentences, {OUTSIDE_SHARE:.0%} of them from articles and contracts, and none of the latter is kept"
)

FITTED_ON = (
    "sentences of Tatoeba dev, BConTrasT dev (both sides), which the network was chosen on but not trained on; one in "
    f"{ASIDE_EVERY} training pairs at half their weight, with a bias of their own; and of CrossNER, wikigold and SEC "
    f"filings, for which there is no reference: all of them count as bad; weighted so that {OUTSIDE_SHARE:.0%} is of "
    "the latter kind"
)

MADE_OF = (
    {
        "name": "Tatoeba",
        "authors": "the contributors of tatoeba.org",
        "licence": "CC-BY-2.0-FR",
        "source": "sentence pairs English-German",
        "used_for": "network, known words, estimate, scores",
    },
    {
        "name": "BConTrasT",
        "authors": "Farajian et al. 2020, WMT 2020 Shared Task on Chat Translation; based on Taskmaster-1",
        "licence": "CC-BY-SA-4.0",
        "source": "service chat English-German",
        "used_for": "network, known words, estimate, scores",
    },
    {
        "name": "GNOME user documentation",
        "authors": "the GNOME documentation project and its translators",
        "licence": "CC-BY-SA-3.0",
        "source": "sentence pairs English-German",
        "used_for": "network, known words, estimate",
    },
    {
        "name": "Windows Forms resources",
        "authors": ".NET Foundation and contributors",
        "licence": "MIT",
        "source": "sentence pairs English-German",
        "used_for": "network, known words, estimate",
    },
    {
        "name": "CrossNER, wikigold, SEC filings",
        "authors": "Liu et al. 2021; Balasuriya et al. 2009; Salinas Alvarado et al. 2015",
        "licence": "MIT AND CC-BY-4.0 AND CC-BY-3.0",
        "source": "English sentences",
        "used_for": "estimate: examples of what is beyond the model",
    },
    {
        "name": "FLORES-200",
        "authors": "NLLB Team 2022",
        "licence": "CC-BY-SA-4.0",
        "source": "devtest English-German",
        "used_for": "scores, and some of the outputs in examples.json",
    },
)

LIMITS = (
    "English to German only; short everyday and service sentences, as in chat. Not for news, law, medicine or manuals.",
    "Other service chat than that of the training data is translated about half as well: BLEU 23 instead of 47.",
    f"A sentence of more than {LONGEST_SENTENCE} pieces (about 50 words) is not translated; its confidence is 0.",
    f"A text of more than {LONGEST_TEXT:,} characters is declined (too_long).",
    f"A text whose worst sentence has a chance of less than {DECLINE_BELOW:g} of being good is declined (unsure).",
    "What is rare in the training texts has a low confidence: it ends in an escalation, or is declined.",
    "A text is as sure as its worst sentence; each sentence is translated without the one before it.",
    "Numbers, addresses, placeholders and markup are copied; the unit of an amount is German: 20 euros, 20 Euro.",
    "Where one of those is lost, or a new one appears, the confidence is 0.",
    "It is 0, too, where the source holds what a German would misread when it is copied: 1,000 or 9 pm.",
    "And where one side denies something and the other does not at all; of two denials one may be lost unseen.",
    "The confidence is the chance of a chrF of 60 or more against one person's translation.",
    "Good translations in other words count as bad, so the confidence is rather too low than too high.",
    "du and Sie are chosen by the sentence alone and may change within a text.",
    "examples.json holds 40 outputs, not picked: every n-th of each test.",
)
