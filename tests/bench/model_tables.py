"""The scores of the shipped models as Markdown: labels, names, translation and languages."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.bench.table import NOTHING, Figures, lines, parts, percent, sentence, table, with_interval

ASKED: Final = 75
"""Queries of a language for the scores; as many others are for calibration. One is 1.3 points."""

INTENT_ROWS: Final = {
    "in_scope_accuracy_raw": ("CLINC150, 4,500, best label right", "target 95.5"),
    "auroc_out_of_scope": ("AUROC, in scope against out of scope", "target .964"),
    "recall_at_10_escalated": ("out-of-scope recall, 10 % of in-scope texts escalated", "target 90.5"),
    "tuned_unweighted_in_scope_accuracy": ("the paper's protocol, in scope", "BERT 96.2 (Larson et al. 2019)"),
    "tuned_unweighted_out_of_scope_recall": ("the paper's protocol, out-of-scope recall", "BERT 52.3"),
    "ece_at_10": ("calibration error (ECE), 10 % out of scope", "target .03"),
    "top1_de": (f"{ASKED} German queries, best label right", "target 88"),
    "top1_fr": (f"{ASKED} French queries, best label right", "target 88"),
    "escalated_as_right_as_en_de": ("German queries escalated to be as often right as English", ""),
    "escalated_as_right_as_en_fr": ("French queries escalated to be as often right as English", ""),
}
UNSCALED: Final = ("auroc", "ece")
"""Scores that are not in per cent."""

PUBLISHED_NER: Final = {"uner_ewt": "XLM-R-large 86.0", "wnut17": "BERTweet-large 53.0, all six types"}

KEPT_APART: Final = {
    "with_name": "with a name",
    "without_name": "without a name",
    "answered_with_name": "with a name in the answer",
}

NAME_KINDS: Final = {
    "names": "single names, right with span and type",
    "PER": "of these, persons",
    "ORG": "of these, organisations",
    "LOC": "of these, places",
    "with_name": "texts with a name, by `nothing_missed`, the answer holds one: none missed",
    "some": "answers with a name, by `nothing_missed`: none missed",
    "whole": "answers with a name, by the confidence: wholly right",
    "none": "answers without a name: there is none",
}
"""What is counted among names → how the page calls it."""

TESTS: Final = {
    "tatoeba": "Tatoeba 2020, 10,000",
    "chat": "BConTrasT agent, 1,133",
    "written": "other service chat, 160",
    "flores": "FLORES-200 devtest, 1,012",
}

CHANGED: Final = "a fifth of it: "
"""What the file of levels calls texts of CLINC150 that were changed."""

ZERO_SHOT: Final = {
    "banking77": "BANKING77 test, 77 labels",
    "banking77_20_labels": "BANKING77 test, 20 labels, mean of 20 draws",
    "banking77_10_labels": "BANKING77 test, 10 labels, mean of 20 draws",
    "banking77_3_labels": "BANKING77 test, 3 labels, mean of 20 draws",
    "clinc150": "CLINC150 test, 150 labels, seen while fitting",
    "queries_de": "150 German queries, labels of CLINC150",
    "queries_fr": "150 French queries, labels of CLINC150",
}

SHORTEST: Final = ("written for Sprat", "1–3 words")

_TEXTS: Final = re.compile(r"\((?P<all>[\d,]+) ")
"""How many texts a test has, in the protocol of its scores."""
_WORDLESS: Final = re.compile(r" without the (?P<count>[\d,]+) that have no words")


def _values(document: Figures) -> dict[str, Any]:
    return {name: score["value"] for name, score in document["scores"].items()}


def summary(figures: Figures) -> str:
    """Return one row for each model and test set, with the published figure where there is one."""
    rows = [
        [f"intent `{each['model']}`", what, _score(each, name), beside]
        for each in figures["intent"]
        for name, (what, beside) in INTENT_ROWS.items()
        if name in each["scores"] and name.startswith(("in_scope", "top1"))
    ]
    rows += [
        ["ner", f"{each['what']}, {each['texts']:,}, F1", percent(each["sprat"]), PUBLISHED_NER.get(name, "")]
        for name, each in figures["ner"]["sets"].items()
        if name in {*PUBLISHED_NER, "german"}
    ]
    values = _values(figures["translation"])
    rows += [["translation", f"{what}, BLEU", f"{values[f'{test}_bleu']:.1f}", ""] for test, what in TESTS.items()]
    return lines(["model", "test", "%, BLEU", "for comparison"], rows)


def levels(figures: Sequence[Figures], model: str) -> str:
    """Return what is kept of each test set by the `keep_at` of the card, and by the recommended goal."""
    rows = [
        each | {"texts": each["texts"].replace(CHANGED, "a fifth of it, ")}
        for each in figures
        if each["model"].startswith(model)
    ]
    columns = {
        "model": "{model}",
        "test": "{texts}",
        "texts": "{count:,}",
        "kept by `keep_at`, %": "{keep_at_kept:%}",
        "right of kept by `keep_at`, %": "{keep_at_right:%}",
        "kept by the goal, %": "{levels_kept:%}",
        "right of kept by the goal, %": "{levels_right:%}",
    }
    return table(columns, rows)


def name_levels(figures: Sequence[Figures]) -> str:
    """Return what reaches the goal of single names, and of "nothing missed", beside the whole answers."""
    head = ["texts", "what", "n", "reach the goal, %", "of these right, % (95 % interval)"]
    rows = [
        [
            each["texts"],
            NAME_KINDS[each["kind"]],
            f"{each['count']:,}",
            percent(each["kept"] / each["count"]),
            with_interval(each["right"], each["kept"]) if each["kept"] else NOTHING,
        ]
        for each in figures
    ]
    return lines(head, rows)


def intent(documents: Sequence[Figures]) -> str:
    """Return the scores of both artefacts."""
    rows = [[what, *(_score(each, name) for each in documents), beside] for name, (what, beside) in INTENT_ROWS.items()]
    about = "; ".join(
        sentence("`{model}`: version {version}, `keep_at` {keep_at}, without a label {keep_at_outside}", each)
        for each in documents
    )
    picture = "![stated confidence against truth](../images/intent_reliability.png)"
    head = ["%", *(f"`{each['model']}`" for each in documents), "for comparison"]
    return parts(f"{about}.", lines(head, rows), picture)


def lexical(figures: Figures) -> str:
    """Return each model with its lexical stage and without it, and what is worse than it may be."""
    rows = [
        {"model": name, "stage": stage, **found, **found[stage]}
        for name, found in figures["sets"].items()
        for stage in ("on", "off")
    ]
    columns = {
        "model, texts": "{model}, {texts:,}",
        "stage": "{stage}",
        "best label right, %": "{accuracy:%}",
        "kept, %": "{kept_share:%}",
        "right of kept, %": "{kept_right:%}",
        "ECE": "{ece:.3f}",
        "near texts outside kept, %": "{near_kept:%}",
        "far texts outside kept, %": "{far_kept:%}",
        "CPU s per 1,000 texts in batches of 64": "{cpu:.2f}",
        "in batches of 500": "{cpu_many:.2f}",
    }
    missed = "\n".join(("Worse than it may be:", "", *(f"- {line}" for line in figures["missed"])))
    return parts(table(columns, rows), missed if figures["missed"] else "No model is worse than it may be.")


def zero_shot(card: Figures) -> str:
    """Return how often the nearest name of a label is right."""
    values = {score["name"]: score["value"] for score in card["scores"]}
    columns = {
        "texts": "{what}",
        "right, none escalated, %": "{accuracy:%}",
        "kept, %": "{kept:%}",
        "right of kept, %": "{kept_right:%}",
    }
    names = ("accuracy", "kept", "kept_right")
    return table(
        columns,
        ({"what": what} | {name: values[f"{of}_{name}"] for name in names} for of, what in ZERO_SHOT.items()),
    )


def ner(figures: Figures, left_out: Figures) -> str:
    """Return the table by set, with spaCy and with short trainings of which one left the set out."""
    rows = [
        {
            **each,
            "lost": None if name not in left_out["with"] else left_out["without"][name] - left_out["with"][name],
            "published": PUBLISHED_NER.get(name, ""),
        }
        for name, each in figures["sets"].items()
    ]
    columns = {
        "entity micro-F1, exact spans, %": "{what}",
        "texts": "{texts:,}",
        "Sprat": "{sprat:%}",
        "spaCy `en_core_web_sm`": "{?spacy:%}",
        "without the set": "{lost:%}",
        "published": "{published}",
    }
    cost = (
        "Texts of UNER English EWT per CPU second on one thread: {sprat[texts_per_s]:,.0f}, spaCy "
        "{spacy[texts_per_s]:,.0f}; memory of the process: {sprat[rss_mib]:,.0f} MiB, spaCy {spacy[rss_mib]:,.0f}."
    )
    about = f"Version {figures['version']}. {sentence(cost, figures)}"
    return parts(about, table(columns, rows), _kept_apart(figures))


def _kept_apart(figures: Figures) -> str:
    """Return what is kept of texts with and without a name, by language, with intervals."""
    scores, keep_at = figures["scores"], figures["keep_at"]
    sets = (
        ("", "English, all tests", keep_at),
        ("_german", "German, the half not calibrated on", figures["keep_at_by_language"].get("de", keep_at)),
        ("_german_as_english", "the same German half", keep_at),
    )
    rows = []
    for suffix, language, at in sets:
        for part, what in KEPT_APART.items():
            share, right = (scores[f"kept_{one}_{part}{suffix}"] for one in ("share", "right"))
            among = int(share["protocol"].rpartition(", the ")[2].split()[0])
            kept = int(right["protocol"].partition(" of the ")[2].split()[0])
            sure = with_interval(round(right["value"] * kept), kept)
            rows.append([f"{language}, {what}", f"{at:.2f}", f"{among:,}", percent(share["value"]), f"{kept:,}", sure])
    head = ["texts", "`keep_at`", "n", "kept, %", "kept, n", "wholly right of kept, % (95 % interval)"]
    return lines(head, rows)


def translation(figures: Figures) -> str:
    """Return BLEU and chrF by test set, of all texts and of the kept ones."""
    values = _values(figures)
    rows, estimates = [], []
    for test, what in TESTS.items():
        shares = {"": 1.0, "_kept": values[f"{test}_kept_share"]}
        said = {"": "all", "_kept": f"kept at {figures['keep_at']}"}
        rows += [
            {"what": f"{what}, {said[part]}", "share": share}
            | {name: values.get(f"{test}{part}_{name}") for name in ("bleu", "chrf", "by_log_probability_bleu")}
            for part, share in shares.items()
        ]
        names = ("auroc", "auroc_log_probability", "kept_poor", "ece")
        estimates.append({"what": what} | {name: values.get(f"{test}_{name}") for name in names})
    columns = {
        "test, texts": "{what}",
        "share, %": "{share:%}",
        "BLEU": "{bleu:.1f}",
        "chrF": "{chrf:.1f}",
        "BLEU of as many, chosen by log-probability": "{by_log_probability_bleu:.1f}",
    }
    estimate = {
        "quality estimate": "{what}",
        "AUROC of chrF ≥ 60": "{auroc:.3f}",
        "AUROC by log-probability": "{auroc_log_probability:.3f}",
        "of the kept, chrF < 40": "{kept_poor:.3f}",
        "calibration error": "{ece:.3f}",
    }
    cost = (
        "Version {version}. {cost[sentences_per_cpu_second]:.0f} sentences of Tatoeba per CPU second, "
        "{cost[resident_mib]:.0f} MiB, quality estimate included."
    )
    signatures = dict.fromkeys(
        each["protocol"].rpartition(": ")[2] for each in figures["scores"].values() if "|" in each["protocol"]
    )
    return parts(
        f"{sentence(cost, figures)} Signatures: {', '.join(f'`{each}`' for each in signatures)}.",
        table(columns, rows),
        table(estimate, estimates),
        "![share kept against chrF of the kept](../images/translation_kept.png)",
    )


def languages(figures: Figures) -> str:
    """Return how often the detector is right beside other libraries, how sure it is, and what it costs."""
    names = list(figures["cost"])
    right = [
        [
            f"{row['data']} ({', '.join(row['languages'])}), {row['words']}",
            f"{row['texts']:,}",
            *(percent(row["right"][name] / row["texts"]) for name in names),
        ]
        for row in figures["right"]
    ]
    sure = {
        "texts": "{what}",
        "n": "{texts:,}",
        "right, %": "{right:%}",
        "ECE": "{ece:.3f}",
        "sure by 0.5 or more, %": "{taken:%}",
        "right of the sure, %": "{taken_right:%}",
    }
    cost = "; ".join(
        f"{name} {one['us']:.0f} µs, {max(0, one['rss_mib']):.0f} MiB" for name, one in figures["cost"].items()
    )
    return parts(
        lines(["right, %", "texts", *names], right),
        table(sure, ({"what": what, **one} for what, one in figures["confidence"].items())),
        f"CPU per text and memory: {cost}.",
    )


def quoted(figures: Figures, detector: Figures) -> dict[str, str]:
    """Return the figures that prose quotes, by name."""
    translation, german = figures["translation"], figures["ner"]["scores"]["kept_share_with_name_german"]
    values = _values(translation)
    share, counted = values["written_kept_share"], _with_words(translation, "written")
    row = next(each for each in detector["right"] if (each["data"], each["words"]) == SHORTEST)
    return {
        "german-names-kept": f"{100 * german['value']:.0f} %",
        "chat-bleu": f"{values['chat_bleu']:.1f}",
        "other-chat-bleu": f"{values['written_bleu']:.1f}",
        "other-chat-kept": f"{percent(share)} % ({round(share * counted)} of {counted})",
        "short-texts-right": f"{100 * row['right']['Sprat'] / row['texts']:.0f} % are right (n = {row['texts']:,})",
    }


def _with_words(figures: Figures, test: str) -> int:
    """Return how many texts of a test have words, which the shares are of."""
    protocol = figures["scores"][f"{test}_kept_share"]["protocol"]
    texts, none = _TEXTS.search(protocol), _WORDLESS.search(protocol)
    if texts is None:
        raise ValueError(f"no number of texts in {protocol!r}")
    wordless = none["count"] if none else "0"
    return int(texts["all"].replace(",", "")) - int(wordless.replace(",", ""))


def _score(document: Mapping[str, Any], name: str) -> str:
    if name not in document["scores"]:
        return "–"
    value = document["scores"][name]["value"]
    return f"{value:.3f}" if name.startswith(UNSCALED) else percent(value)
