"""What masking finds and misses, as Markdown."""

from collections.abc import Iterator
from typing import Final

from tests.bench.privacy_scoring import CATEGORIES, Category
from tests.bench.table import Figures, lines, parts, percent, sentence, table, with_interval

NAMES: Final = {"validators": "validators", "tagger": "tagger", "both": "both", "presidio": "Presidio"}

LANGUAGES: Final = {
    f"language {tag}": f"{name}, all of the above"
    for tag, name in (
        ("en", "English"),
        ("de", "German"),
        ("fr", "French"),
        ("es", "Spanish"),
        ("it", "Italian"),
        ("pt", "Portuguese"),
        ("nl", "Dutch"),
    )
}
STANDS: Final = {
    "bare": "alone in a sentence (*Has Young paid?*)",
    "title": "after a title (*Mr Young*)",
    "role": "after a role (*our technician Young*)",
    "greeting": "in a greeting (*Hello Young,*)",
    "signature": "under a closing (*Kind regards, Young*)",
    "lower": "in the last lines, in small letters (*thanks young*)",
    "surname-first": "*Surname, First name*",
    "kind word": "surnames that are words (*Young, Koch, Petit*)",
    "bare word": "surnames that are words, alone in a sentence",
    **LANGUAGES,
}
ALARMS: Final = {
    "start": "the word at the start (*Page 3 is missing*)",
    "greeting": "the word after a greeting (*Hello, page keeps crashing*)",
    "inside": "the word elsewhere (*The page won't load*)",
    "all": "all sentences",
}


def privacy(figures: Figures) -> str:
    """Return what each system finds by category, and the lines below: speed, false positives, targets."""
    systems = figures["systems"]
    rows = [
        [
            category.name,
            f"{systems['both']['kinds'][category.name]['spans']}",
            *(_by_span(category, name, system["kinds"][category.name]) for name, system in systems.items()),
            percent(1 - systems["both"]["kinds"][category.name]["recall_any_type"]),
        ]
        for category in CATEGORIES
        if systems["both"]["kinds"][category.name]["spans"]
    ]
    head = ["what", "spans", *(NAMES[name] for name in systems), "not masked completely by both, %"]
    return parts(lines(head, rows), "\n".join(f"- {line}" for line in _closing(figures)))


def _by_span(category: Category, system: str, counts: Figures) -> str:
    """Return recall / precision of the right type, and in brackets the recall whatever the type."""
    whatever = percent(counts["recall_any_type"])
    claims = category.presidio if system == "presidio" else category.sprat
    if claims and counts["recall"]:
        return f"{percent(counts['recall'])} / {percent(counts['precision'])} ({whatever})"
    return f"– ({whatever})"


def _closing(figures: Figures) -> Iterator[str]:
    systems = figures["systems"]
    speeds = (f"{NAMES[name]} {system['texts_per_cpu_second']:,.0f}" for name, system in systems.items())
    yield f"Texts per CPU second, each text alone, one thread: {', '.join(speeds)}."
    shares = (f"{NAMES[name]} {percent(system['masked_but_not_annotated'])} %" for name, system in systems.items())
    yield f"Share of the masked tokens that are not annotated as personal at all: {', '.join(shares)}."
    times = (f"{half:.1f} / {most:.1f} at {int(words):,}" for words, (half, most) in figures["ms_per_text"].items())
    yield f"CPU milliseconds to mask one text with all detectors, p50 / p95 by words: {', '.join(times)}."
    if figures["aims"]:
        *kinds, speed = figures["aims"]
        versions = ", ".join(f"{name} {version}" for name, version in figures["presidio"]["versions"].items())
        yield f"Presidio with its defaults, every result whatever its score; {versions}."
        met = sum(aim["met"] for aim in kinds)
        yield f"Target, recall ≥ Presidio's on each type that both claim: met on {met} of {len(kinds)}."
        yield from (f"Not met, {aim['what']}: {aim['reason']}." for aim in kinds if not aim["met"])
        yield f"Target, 3 times Presidio's texts per CPU second: {speed['ratio']:.2f} times, " + (
            "met." if speed["met"] else f"not met: {speed['reason']}."
        )


def surnames(own: Figures, unseen: Figures) -> str:
    """Return the shares of surnames left visible in both sets of sentences, and the false alarms in the second."""
    head = ["surnames, not masked completely, %", "first set, n", "first set", "without the rules"]
    head += ["second set, n", "second set (95 % interval)"]
    alarms = unseen["alarms"]["after"]
    return parts(
        lines(head, (_left(key, own, unseen) for key in STANDS)),
        lines(
            ["second set, sentences without a person, masked as a person, %", "n", "(95 % interval)"],
            ([what, f"{alarms[key][1]:,}", with_interval(*alarms[key])] for key, what in ALARMS.items()),
        ),
    )


def _left(key: str, own: Figures, unseen: Figures) -> list[str]:
    """Return the row of surnames that stand so; `–` where the second set has none."""
    (masked, every), (before, _) = own["after"][key], own["before"][key]
    cells = [STANDS[key], f"{every:,}", percent(1 - masked / every), percent(1 - before / every)]
    if key not in unseen["after"]:
        return [*cells, "–", "–"]
    masked, every = unseen["after"][key]
    return [*cells, f"{every:,}", with_interval(every - masked, every)]


def agreement(figures: Figures) -> str:
    """Return how often the shipped tagger and its original agree."""
    return sentence(
        "The shipped tagger and its original (4-bit ONNX) choose the same label for {agreement:%} % of {tokens:,} "
        "tokens in 500 texts; in the half that is full of personal data, for "
        "{agreement_by_origin[presidio-research]:%} %.",
        figures,
    )


def beside(figures: Figures) -> str:
    """Return the CPU time of masking and of names beside Presidio and spaCy, on the texts of the peers."""
    systems = {
        "sprat masking": "masking: Sprat",
        "presidio": "masking: Presidio",
        "sprat names": "names: Sprat",
        "spacy names": "names: spaCy `en_core_web_sm`",
    }
    sets = {"clinc150": "CLINC150", "banking77": "BANKING77", "presidio-research": "presidio-research"}
    found = {title: figures["masking"][name] for name, title in sets.items() if name in figures["masking"]}
    columns = {"CPU s per 1,000 texts": "{what}"} | {
        f"{title}, {each['texts']:,}": f"{{{title}:.2f}}" for title, each in found.items()
    }
    return table(
        columns,
        (
            {"what": what} | {title: each["cpu_s_per_1000"][system] for title, each in found.items()}
            for system, what in systems.items()
        ),
    )


def masked_queries(figures: Figures) -> dict[str, str]:
    """Return the figures that prose quotes, by name: names left in compounds, and what masking does to queries."""
    asked = figures["queries"]
    changed = asked["masked"]
    left = {key: _in_words(every - some, every) for key, (some, every) in figures["compounds"].items()}
    before, after = (f"{percent(asked['right'][how] / changed)} %" for how in ("plain", "masked"))
    return {
        "compounds-hyphenated": left["hyphen"],
        "compounds-joined": left["joined"],
        "queries-masked": _in_words(changed, asked["queries"]),
        "queries-numbers": f"{asked['numbers_as_address']}",
        "queries-right": f"{before} as they are and {after} masked (n = {changed})",
    }


def _in_words(some: int, every: int) -> str:
    share, _, interval = with_interval(some, every).partition(" (")
    return f"{share} % (95 % interval {interval.removesuffix(')')}, n = {every:,})"
