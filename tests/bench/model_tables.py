"""The measured figures of the shipped models as markdown: a page of all, and the README's short table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Figures = Mapping[str, Any]

HEADING: Final = """# The models, measured

Written by `make bench-models SPRAT_DATA=DIR SPACY=PYTHON` from the committed artefacts. What each model is made of, may
be used for and cannot do stands in its card (`card.json` beside its weights); how it is made, in the `recipe` folder of
its service. Published figures are from the papers; they have been measured on the same sets, by others."""

BEGIN: Final = "<!-- make bench-models writes this -->\n"
END: Final = "<!-- until here -->\n"
"""What stands around the README's table."""

ASKED: Final = 75
"""Queries of a language that are measured; as many others calibrate. One is 1.3 points."""

INTENT_ROWS: Final = (
    ("in_scope_accuracy_raw", "CLINC150, the best label, nothing sent out", "aim 95.5"),
    ("auroc_out_of_scope", "AUROC, in against out of scope", "aim .964"),
    ("recall_at_10_escalated", "out-of-scope recall with 10 % of the in-scope texts escalated", "aim 90.5"),
    (
        "tuned_unweighted_in_scope_accuracy",
        "the paper's protocol, validation as it is: in scope",
        "BERT 96.2 (Larson et al. 2019)",
    ),
    ("tuned_unweighted_out_of_scope_recall", "the same: out-of-scope recall", "BERT 52.3"),
    ("kept_share_at_10", "kept at `keep_at`, 10 % out of scope", ""),
    ("kept_right_at_10", "of those right", ""),
    ("ece_at_10", "calibration error (ECE), 10 % out of scope", "aim .03"),
    ("top1_de", f"{ASKED} German queries, English-trained head: best label", "aim 88"),
    ("kept_share_de", "the same, kept at `keep_at`", ""),
    ("kept_right_de", "of those right", ""),
    ("escalated_as_right_as_en_de", "escalated where the kept are as right as in English", ""),
    ("top1_fr", f"{ASKED} French queries: best label", "aim 88"),
    ("kept_share_fr", "the same, kept at `keep_at`", ""),
    ("kept_right_fr", "of those right", ""),
    ("escalated_as_right_as_en_fr", "escalated where the kept are as right as in English", ""),
)
TUNED: Final = (
    ("tuned_unweighted_in_scope_accuracy", "in scope", "BERT 96.2"),
    ("tuned_unweighted_out_of_scope_recall", "out-of-scope recall", "BERT 52.3"),
)
"""Of the README: what the published figures are comparable with."""

UNSCALED: Final = ("auroc", "ece")
"""Given as they are, not in per cent."""

PUBLISHED_NER: Final = {"uner_ewt": "XLM-R-large 86.0", "wnut17": "BERTweet-large 53.0, all six types"}

TRAINED_ON: Final = (
    "Read with care: Sprat's model was trained on the training part of every one of these sets but the German "
    "sentences, spaCy's on none. In SEC filings Borrower and Lender count as PER, which nobody taught spaCy."
)

MULTI30K: Final = Path(__file__).resolve().parents[2] / "services/translation/recipe/multi30k.log"

TESTS: Final = {"tatoeba": "Tatoeba 2020, 10,000", "chat": "BConTrasT agent", "flores": "FLORES-200 devtest"}


def page(figures: Figures) -> str:
    """Everything."""
    parts = [HEADING, intent(figures["intent"]), ner(figures["ner"]), translation(figures["translation"])]
    return "\n\n".join(parts) + "\n"


def intent(documents: Sequence[Figures]) -> str:
    """Both artefacts side by side."""
    names = [each["model"] for each in documents]
    rows = [
        [what, *(_of(each, name) for each in documents), beside]
        for name, what, beside in INTENT_ROWS
        if any(name in each["scores"] for each in documents)
    ]
    about = "".join(
        f"\n- `{each['model']}`: version {each['version']}, `keep_at` {each['keep_at']}" for each in documents
    )
    picture = "![stated confidence against truth](images/intent_reliability.png)"
    return f"## intent\n{about}\n\n{_table(['%', *names, 'beside it'], rows)}\n\n{picture}"


def ner(figures: Figures) -> str:
    """By set, beside spaCy."""
    sets = figures["sets"]
    rows = [
        [
            each["what"],
            f"{each['texts']:,}",
            _percent(each["sprat"]),
            _maybe(each.get("spacy")),
            PUBLISHED_NER.get(name, ""),
        ]
        for name, each in sets.items()
    ]
    spacy = figures.get("spacy", {})
    costs = [
        [
            "texts a CPU second (UNER-EWT, one thread)",
            _round(figures["sprat"]["texts_per_s"]),
            _round(spacy.get("texts_per_s")),
        ],
        ["memory of the process, MiB", _round(figures["sprat"]["rss_mib"]), _round(spacy.get("rss_mib"))],
    ]
    rest = [
        [name, f"{each['value']:.3f}", each["protocol"]]
        for name, each in figures["scores"].items()
        if name[:3] != "f1_"
    ]
    head = ["entity micro-F1, exact spans, %", "texts", "Sprat", "spaCy `en_core_web_sm`", "published"]
    return "\n\n".join(
        (
            f"## ner\n\nVersion {figures['version']}. PER, ORG, LOC; what validators find is not counted.",
            _table(head, rows),
            TRAINED_ON,
            _table(["cost", "Sprat", "spaCy"], costs),
            _table(["figure", "", "on what, by which rule"], rest),
        )
    )


def translation(figures: Figures) -> str:
    """By test set: all, kept, the surer half."""
    scores = {name: each["value"] for name, each in figures["scores"].items()}
    rows = []
    for test, what in TESTS.items():
        for part, words in (("", "all"), ("_kept", f"kept at {figures['keep_at']}"), ("_half", "the surer half")):
            share = {"": 1.0, "_kept": scores[f"{test}_kept_share"], "_half": 0.5}[part]
            names = [f"{test}{part}{by}_{metric}" for by in ("", "_by_log_probability") for metric in ("bleu", "chrf")]
            rows.append([what, words, _percent(share), *(f"{scores[n]:.1f}" if n in scores else "–" for n in names)])
    estimate = [
        [what, *(f"{scores[f'{test}_{name}']:.3f}" if f"{test}_{name}" in scores else "–" for name in ESTIMATED)]
        for test, what in TESTS.items()
    ]
    cost = figures["cost"]
    signatures = dict.fromkeys(
        each["protocol"].rpartition(": ")[2] for each in figures["scores"].values() if "|" in each["protocol"]
    )
    speed = f"{cost['sentences_per_cpu_second']:.0f} sentences of Tatoeba a CPU second, {cost['resident_mib']:.0f} MiB"
    return "\n\n".join(
        (
            f"## translation, English to German\n\nVersion {figures['version']}. {speed}, with its estimate.",
            _table(["test", "texts", "share, %", "BLEU", "chrF", *BY_LOG_PROBABILITY], rows),
            "\n".join(f"- {signature}" for signature in signatures),
            _table(["its own estimate", *ESTIMATED.values()], estimate),
            "![share kept against chrF of the kept](images/translation_kept.png)",
            f"The same recipe on Multi30k alone, 250 minutes on one core, its weights not kept: {multi30k()}.",
        )
    )


def multi30k() -> str:
    """What the log of that training run says of the test at its end."""
    lines = MULTI30K.read_text("utf-8").splitlines()
    return [line for line in lines if "published" in line][-1].partition(" ")[2]


BY_LOG_PROBABILITY: Final = ("BLEU by log-probability alone", "chrF")
"""What choosing as many by it gives."""

ESTIMATED: Final = {
    "auroc": "AUROC of chrF ≥ 60",
    "auroc_log_probability": "by log-probability alone",
    "kept_poor": "of the kept, chrF < 40",
    "ece": "calibration error",
}


def readme_rows(figures: Figures) -> str:
    """The README's table: one line a set, the figure, and what stands beside it."""
    scores = [
        (each["model"], {name: one["value"] for name, one in each["scores"].items()}) for each in figures["intent"]
    ]
    rows = []
    for name, values in scores:
        rows += [
            [f"intent `{name}`", "CLINC150, best label", _percent(values["in_scope_accuracy_raw"]), ""],
            *(
                [f"intent `{name}`", f"CLINC150, the paper's protocol, {what}", _percent(values[score]), published]
                for score, what, published in TUNED
            ),
        ]
        for tag, language in (("de", "German"), ("fr", "French")):
            if f"top1_{tag}" in values:
                rows.append(
                    [f"intent `{name}`", f"{ASKED} {language} queries, best label", _percent(values[f"top1_{tag}"]), ""]
                )
    for key, each in figures["ner"]["sets"].items():
        other = f"spaCy {_percent(each['spacy'])}" if "spacy" in each else ""
        beside = ", ".join(filter(None, (other, PUBLISHED_NER.get(key, ""))))
        rows.append(["ner", f"{each['what']}, F1", _percent(each["sprat"]), beside])
    values = {name: each["value"] for name, each in figures["translation"]["scores"].items()}
    for test, what in TESTS.items():
        share = values[f"{test}_kept_share"]
        kept = f"{values[f'{test}_kept_bleu']:.1f} of the {_percent(share)} % kept" if share else "nothing is kept"
        beside = "OPUS-MT 47.3 (older sample)" if test == "tatoeba" else ""
        figure = f"{values[f'{test}_bleu']:.1f}; {kept}"
        rows.append(["translation", f"{what}, BLEU", figure, beside])
    return _table(["model", "on what", "%, BLEU", "beside it"], rows) + "\n"


def _of(document: Figures, name: str) -> str:
    if name not in document["scores"]:
        return "–"
    value = document["scores"][name]["value"]
    return f"{value:.3f}" if name.startswith(UNSCALED) else _percent(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _maybe(share: float | None) -> str:
    return "–" if share is None else _percent(share)


def _round(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
