"""Write the card of the language model: measure the detector on the texts that its confidence was not fitted to.

    python -m recipes.language_id.build

The texts are the lines with an odd number of `tests/data/language_texts.tsv` and `encoder_texts.tsv`, and those of
`near_languages.tsv`: languages that are like each other, and some that the detector does not know. The levels are
measured on the lines with an even number and the first one to four words of each, to which its confidence was fitted:
they are estimates.
"""

from collections.abc import Sequence

from recipes.common import ROOT, card_texts
from sprat_inference.artefact import write_artefact
from sprat_inference.card import label_set_hash
from sprat_langid import INTERCEPT, LANGUAGES, READ_CODE_POINTS, SLOPE, VERSION, detect
from sprat_language_id.__main__ import SHIPPED
from sprat_language_id.model import READER
from sprat_training.thresholds import Rows
from sprat_training.thresholds.levels import write_levels

DATA = ROOT / "tests/data"
KEEP_AT = 0.8
FIRST_WORDS = range(1, 5)
"""Of a text, read as texts of their own: what people write is often that short."""
NEAR = (("da", "no", "sv"), ("bg", "ru", "uk"))
"""Languages that are often taken for each other."""


def main() -> None:
    """Write the card."""
    rows = texts(0)
    guesses = [(language, detect(text)) for language, text in rows]
    right = [guess.language == language for language, guess in guesses]
    kept = [guess.confidence >= KEEP_AT for _, guess in guesses]
    data = f"{len(rows)} texts written for Sprat, in {len({language for language, _ in rows})} languages"
    figures = {
        "right": (sum(right) / len(rows), data),
        "kept": (sum(kept) / len(rows), f"share with a confidence of {KEEP_AT} or more; {data}"),
        "kept_right": (sum(a and b for a, b in zip(right, kept, strict=True)) / sum(kept), f"of those kept; {data}"),
    }
    figures |= near_and_unknown()
    about = card_texts(__file__, version=VERSION, read_code_points=READ_CODE_POINTS)
    SHIPPED.mkdir(parents=True, exist_ok=True)
    card = write_artefact(
        SHIPPED,
        {
            "name": "default",
            "reader": READER,
            "task": "language-id",
            "languages": (),
            "labels": LANGUAGES,
            "label_set": label_set_hash(LANGUAGES),
            "max_tokens": READ_CODE_POINTS,
            "scores": [
                {"name": name, "value": round(value, 4), "protocol": protocol}
                for name, (value, protocol) in figures.items()
            ],
            "calibration": {
                "method": "sigmoid(slope · logit(share) + intercept)",
                "fitted_on": about.pop("fitted_on"),
                "outside_share": 0,
                "longest_code_points": READ_CODE_POINTS,
                "parameters": {"slope": (SLOPE,), "intercept": (INTERCEPT,)},
            },
            "keep_at": KEEP_AT,
            **about,
        },
    )
    write_levels(SHIPPED, card, rows_of(texts(1)))
    print(card.version, {score.name: score.value for score in card.scores})


def texts(first: int) -> list[list[str]]:
    """Return language and text of every other line, from the first or the second one on."""
    names = ("language_texts", "encoder_texts")
    lines = (line for name in names for line in (DATA / f"{name}.tsv").read_text("utf-8").splitlines()[first::2])
    return [line.split("\t") for line in lines]


def rows_of(lines: Sequence[Sequence[str]]) -> Rows:
    """Return what it says of texts and of their first words; of all languages together: the language is the answer."""
    rows = [
        (number, language, detect(read))
        for number, (language, text) in enumerate(lines)
        for read in dict.fromkeys((text, *(" ".join(text.split()[:words]) for words in FIRST_WORDS)))
    ]
    return Rows.of(
        [guess.confidence for *_, guess in rows],
        [guess.language == language for _, language, guess in rows],
        says_none=[guess.language is None for *_, guess in rows],
        group=[number for number, *_ in rows],
    )


def near_and_unknown() -> dict[str, tuple[float, str]]:
    """Return how much is right of what is kept of near languages, and how much is kept of unknown ones."""
    rows = [line.split("\t") for line in (DATA / "near_languages.tsv").read_text("utf-8").splitlines()]
    kept = {(language, text): guess for language, text in rows if (guess := detect(text)).confidence >= KEEP_AT}
    found = {}
    for group in NEAR:
        texts = [language for language, _ in rows if language in group]
        right = [guess.language == language for (language, _), guess in kept.items() if language in group]
        what = f"of the {len(right)} kept of {len(texts)} texts written for Sprat in {', '.join(group)}"
        found[f"kept_right_{'_'.join(group)}"] = (sum(right) / len(right), what)
    unknown = [language for language, _ in rows if language not in LANGUAGES]
    taken = sum(language in unknown and guess.language is not None for (language, _), guess in kept.items())
    what = f"{len(unknown)} texts written for Sprat in {', '.join(dict.fromkeys(unknown))}, none of which is a label"
    found["kept_unknown"] = (taken / len(unknown), f"{what}: a language with a confidence of {KEEP_AT} or more")
    return found


if __name__ == "__main__":
    main()
