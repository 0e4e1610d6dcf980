"""The scores of the shipped models as Markdown: a short table of all, and the tables of each task."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sprat_training.evaluation.metrics import wilson

Figures = Mapping[str, Any]

ASKED: Final = 75
"""Queries of a language for the scores; as many others are for calibration. One is 1.3 points."""

UNTIDY: Final = {
    "typing_error": "with one typing error",
    "capitals": "in capitals",
    "courtesy": "with courtesy",
    "mail": "as a mail of four lines",
    "letter": "in a letter of six sentences",
}
"""How texts are changed that are measured besides, by the name in the scores."""

INTENT_ROWS: Final = (
    ("in_scope_accuracy_raw", "CLINC150: best label, nothing escalated", "target 95.5"),
    ("auroc_out_of_scope", "AUROC, in scope against out of scope", "target .964"),
    ("recall_at_10_escalated", "out-of-scope recall with 10 % of the in-scope texts escalated", "target 90.5"),
    (
        "tuned_unweighted_in_scope_accuracy",
        "the paper's protocol, validation as it is: in scope",
        "BERT 96.2 (Larson et al. 2019)",
    ),
    ("tuned_unweighted_out_of_scope_recall", "the same: out-of-scope recall", "BERT 52.3"),
    ("kept_share_at_10", "kept at `keep_at`, 10 % out of scope", ""),
    ("kept_right_at_10", "of those, correct", ""),
    *(
        (f"kept_{part}_{kind}", of, "")
        for kind, what in UNTIDY.items()
        for part, of in (("share", f"the same texts {what}, a fifth of them: kept"), ("right", "of those, correct"))
    ),
    ("ece_at_10", "calibration error (ECE), 10 % out of scope", "target .03"),
    ("top1_de", f"{ASKED} German queries, English-trained head: best label", "target 88"),
    ("kept_share_de", "the same, kept at `keep_at`", ""),
    ("kept_right_de", "of those, correct", ""),
    ("escalated_as_right_as_en_de", "escalated when the kept answers are as often correct as in English", ""),
    ("top1_fr", f"{ASKED} French queries: best label", "target 88"),
    ("kept_share_fr", "the same, kept at `keep_at`", ""),
    ("kept_right_fr", "of those, correct", ""),
    ("escalated_as_right_as_en_fr", "escalated when the kept answers are as often correct as in English", ""),
)
TUNED: Final = (
    ("tuned_unweighted_in_scope_accuracy", "in scope", "BERT 96.2"),
    ("tuned_unweighted_out_of_scope_recall", "out-of-scope recall", "BERT 52.3"),
)
"""The published figures for comparison."""

UNSCALED: Final = ("auroc", "ece")
"""Scores that are not in per cent."""

PUBLISHED_NER: Final = {"uner_ewt": "XLM-R-large 86.0", "wnut17": "BERTweet-large 53.0, all six types"}

TRAINED_ON: Final = (
    "**The comparison favours Sprat.** Its model was trained on the training part of UNER English EWT, WNUT17, Broad "
    "Twitter Corpus, CrossNER (all five domains) and SEC filings, spaCy's on none of them. What a set's own part is "
    "worth is seen in two short trainings (four layers, two epochs, no translated sentences; F1 of the network by "
    "words): one on all sets, and one that leaves out the set of the row, CrossNER with all its domains. The German "
    "sentences were not trained on. In SEC filings Borrower and Lender count as PER, which spaCy cannot know."
)

KEPT_APART: Final = {
    "with_name": "hold a name",
    "without_name": "hold none",
    "answered_with_name": "have a name in the answer",
}

MULTI30K: Final = Path(__file__).resolve().parents[2] / "recipes/translation/multi30k.log"

TESTS: Final = {
    "tatoeba": "Tatoeba 2020, 10,000",
    "chat": "BConTrasT agent, 1,133: chat of the training kind",
    "written": "other service chat, 160, written for Sprat",
    "flores": "FLORES-200 devtest, 1,012",
}

_TEXTS: Final = re.compile(r"\((?P<all>[\d,]+) ")
"""How many texts a test has, in the protocol of its scores."""
_WORDLESS: Final = re.compile(r" without the (?P<count>[\d,]+) that have no words")


def intent(documents: Sequence[Figures]) -> str:
    """Return the table of both artefacts."""
    names = [each["model"] for each in documents]
    rows = [
        [what, *(_of(each, name) for each in documents), beside]
        for name, what, beside in INTENT_ROWS
        if any(name in each["scores"] for each in documents)
    ]
    about = "".join(
        f"\n- `{each['model']}`: version {each['version']}, `keep_at` {each['keep_at']}, "
        f"without a label {each['keep_at_outside']}"
        for each in documents
    )
    picture = "![stated confidence against truth](images/intent_reliability.png)"
    return f"{about[1:]}\n\n{_table(['%', *names, 'for comparison'], rows)}\n\n{picture}"


def ner(figures: Figures, left_out: Figures) -> str:
    """Return the table by set, with spaCy and with short trainings of which one left the set out."""
    sets = figures["sets"]
    rows = [
        [
            each["what"],
            f"{each['texts']:,}",
            "no" if name == "german" else "its training part",
            _percent(each["sprat"]),
            _maybe(each.get("spacy")),
            *(_maybe(left_out[part].get(name)) for part in ("with", "without")),
            PUBLISHED_NER.get(name, ""),
        ]
        for name, each in sets.items()
    ]
    spacy = figures.get("spacy", {})
    costs = [
        [
            "texts per CPU second (UNER-EWT, one thread)",
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
    head = [
        "entity micro-F1, exact spans, %",
        "texts",
        "Sprat trained on",
        "Sprat",
        "spaCy `en_core_web_sm`",
        "short training",
        "the same without the set",
        "published",
    ]
    return "\n\n".join(
        (
            f"Version {figures['version']}. PER, ORG, LOC; what validators find is not counted.",
            _table(head, rows),
            TRAINED_ON,
            _kept_apart(figures),
            _table(["cost", "Sprat", "spaCy"], costs),
            _table(["figure", "value", "data and rule"], rest),
        )
    )


def _kept_apart(figures: Figures) -> str:
    """Return what is kept of texts with and without a name, by language, with intervals."""
    scores, keep_at = figures["scores"], figures["keep_at"]
    german = "German, the half not calibrated on"
    sets = (
        ("", "English, all tests", keep_at),
        ("_german", german, figures["keep_at_by_language"].get("de", keep_at)),
        ("_german_as_english", german, keep_at),
    )
    rows = []
    for suffix, language, at in sets:
        for part, what in KEPT_APART.items():
            share, right = (scores[f"kept_{one}_{part}{suffix}"] for one in ("share", "right"))
            among = share["protocol"].rpartition(", the ")[2].split()[0]
            kept = _kept_count(right)
            sure = wilson(right["value"] * kept, kept)
            said = f"{_percent(right['value'])} ({_percent(sure.low)} to {_percent(sure.high)}) of {kept:,}"
            rows.append([f"{language}, at {at:.2f}", f"{int(among):,} {what}", _percent(share["value"]), said])
    return _table(["kept", "texts that", "kept, %", "wholly right of those, % (95 % interval)"], rows)


def _kept_count(right: Mapping[str, Any]) -> int:
    """Return of how many texts kept a share is right, as its protocol says."""
    return int(right["protocol"].partition(" of the ")[2].split()[0])


def translation(figures: Figures) -> str:
    """Return the table by test set: all, kept, the more confident half."""
    scores = {name: each["value"] for name, each in figures["scores"].items()}
    rows = []
    for test, what in TESTS.items():
        among = _among(figures, test)
        parts = (
            ("", "all"),
            ("_kept", f"kept at {figures['keep_at']}{among}"),
            ("_half", f"the more confident half{among}"),
        )
        for part, words in parts:
            share = {"": 1.0, "_kept": scores[f"{test}_kept_share"], "_half": 0.5}[part]
            names = [f"{test}{part}{by}_{metric}" for by in ("", "_by_log_probability") for metric in ("bleu", "chrf")]
            rows.append([what, words, _percent(share), *(f"{scores[n]:.1f}" if n in scores else "–" for n in names)])
    estimate = [
        [
            what + _among(figures, test),
            *(f"{scores[f'{test}_{name}']:.3f}" if f"{test}_{name}" in scores else "–" for name in ESTIMATED),
        ]
        for test, what in TESTS.items()
    ]
    cost = figures["cost"]
    signatures = dict.fromkeys(
        each["protocol"].rpartition(": ")[2] for each in figures["scores"].values() if "|" in each["protocol"]
    )
    speed = (
        f"{cost['sentences_per_cpu_second']:.0f} sentences of Tatoeba per CPU second, {cost['resident_mib']:.0f} MiB"
    )
    return "\n\n".join(
        (
            f"Version {figures['version']}. {speed}, quality estimate included.",
            _table(["test", "texts", "share, %", "BLEU", "chrF", *BY_LOG_PROBABILITY], rows),
            "\n".join(f"- {signature}" for signature in signatures),
            _wordless(figures),
            _table(["quality estimate", *ESTIMATED.values()], estimate),
            "![share kept against chrF of the kept](images/translation_kept.png)",
            f"The same recipe on Multi30k alone, 250 minutes on one core, without shipping the weights: {multi30k()}.",
        )
    )


def _counted(figures: Figures, test: str) -> tuple[int, int]:
    """Return how many texts of a test have words, which its shares are of, and how many have none."""
    protocol = figures["scores"][f"{test}_kept_share"]["protocol"]
    texts, none = _TEXTS.search(protocol), _WORDLESS.search(protocol)
    if texts is None:
        raise ValueError(f"no number of texts in {protocol!r}")
    wordless = int(none["count"].replace(",", "")) if none else 0
    return int(texts["all"].replace(",", "")) - wordless, wordless


def _among(figures: Figures, test: str) -> str:
    """Return of how many texts a share is, where these are not all of the test."""
    counted, wordless = _counted(figures, test)
    return f", of the {counted:,} with words" if wordless else ""


def _wordless(figures: Figures) -> str:
    """Return what becomes of texts without words, and in which test there are some."""
    there = {test: wordless for test in TESTS if (wordless := _counted(figures, test)[1])}
    listed = ", ".join(f"{wordless:,} in {TESTS[test].partition(',')[0]}" for test, wordless in there.items())
    return (
        "Empty sentences, and those without words, as a number alone, do not count as kept: they are copied. Of the "
        f"rows, only *all* has them ({listed or 'there are none'})."
    )


def multi30k() -> str:
    """Return the final test score in the log of that training run."""
    lines = MULTI30K.read_text("utf-8").splitlines()
    return [line for line in lines if "published" in line][-1].partition(" ")[2]


BY_LOG_PROBABILITY: Final = ("BLEU by log-probability alone", "chrF")
"""The same number of sentences, chosen by log-probability."""

ESTIMATED: Final = {
    "auroc": "AUROC of chrF ≥ 60",
    "auroc_log_probability": "by log-probability alone",
    "kept_poor": "of the kept, chrF < 40",
    "ece": "calibration error",
}


def summary(figures: Figures) -> str:
    """Return one row for each model and test set, with the published figure where there is one."""
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
    for suffix, language in (("", "English"), ("_german", "German"), ("_german_as_english", "German")):
        ner = figures["ner"]
        own = ner["keep_at_by_language"].get("de") if suffix == "_german" else None
        share, right = (ner["scores"][f"kept_{one}_with_name{suffix}"] for one in ("share", "right"))
        kept = f"the {_kept_count(right):,} ({_percent(share['value'])} %) kept at {own or ner['keep_at']:.2f}"
        rows.append(["ner", f"{language} texts with a name, wholly right of {kept}", _percent(right["value"]), ""])
    values = {name: each["value"] for name, each in figures["translation"]["scores"].items()}
    for test, what in TESTS.items():
        share = values[f"{test}_kept_share"]
        part = f"the {_percent(share)} % kept{_among(figures['translation'], test).lstrip(',')}"
        kept = f"{values[f'{test}_kept_bleu']:.1f} of {part}" if share else "none kept"
        beside = "OPUS-MT 47.3 (older sample)" if test == "tatoeba" else ""
        figure = f"{values[f'{test}_bleu']:.1f}; {kept}"
        rows.append(["translation", f"{what}, BLEU", figure, beside])
    return _table(["model", "test", "%, BLEU", "for comparison"], rows)


def quoted(figures: Figures) -> dict[str, str]:
    """Return the figures that prose quotes, by name."""
    translation, german = figures["translation"], figures["ner"]["scores"]["kept_share_with_name_german"]
    values = {name: each["value"] for name, each in translation["scores"].items()}
    share, (counted, _) = values["written_kept_share"], _counted(translation, "written")
    return {
        "german-names-kept": f"{german['value']:.0%}".replace("%", " %"),
        "chat-bleu": f"{values['chat_bleu']:.1f}",
        "other-chat-bleu": f"{values['written_bleu']:.1f}",
        "other-chat-kept": f"{_percent(share)} % ({round(share * counted)} of {counted})",
    }


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


def levels(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return what is kept of each test set by the `keep_at` of the card, and by the recommended goal."""
    head = ("model, goal", "test", "texts", "by `keep_at`: kept", "right of it", "by the goal: kept", "right of it")
    lines: list[Sequence[str]] = [head, ["---"] * len(head)]
    for one in figures:
        shares = (one[f"{rule}_{what}"] for rule in ("keep_at", "levels") for what in ("kept", "right"))
        said = ("–" if share is None else f"{100 * share:.1f}" for share in shares)
        lines.append((f"{one['model']}, {100 * one['goal']:g}", one["texts"], f"{one['count']:,}", *said))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
