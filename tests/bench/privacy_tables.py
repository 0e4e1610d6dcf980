"""The tables of `privacy_quality.py`: for the terminal, and as Markdown for the page of benchmarks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sprat_training.evaluation.metrics import wilson
from tests.bench.privacy_scoring import CATEGORIES, Category

NAMES: Final = {"validators": "validators", "tagger": "tagger", "both": "both", "presidio": "Presidio"}

CLAIMED: Final = tuple(category for category in CATEGORIES if category.sprat)
OTHERS: Final = tuple(category for category in CATEGORIES if not category.sprat)

Row = Sequence[str]


def text(figures: Mapping[str, Any]) -> str:
    """Return all tables, in columns."""
    return (
        "\n".join(f"\n{title}\n" + "\n".join(_aligned([head, *rows])) for title, head, rows in _all(figures))
        + "\n\n"
        + "\n".join(_closing(figures))
    )


def markdown(figures: Mapping[str, Any]) -> str:
    """Return all tables as Markdown."""
    pieces: list[str] = []
    for title, head, rows in _all(figures):
        lines = [head, ["---"] * len(head), *rows]
        pieces.append(f"{title}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join((*pieces, "\n".join(f"- {line}" for line in _closing(figures))))


def missed(figures: Mapping[str, Any]) -> str:
    """Return the share of spans that all detectors together leave visible in part or wholly, as Markdown."""
    kinds = figures["systems"]["both"]["kinds"]
    counted = {category.name: kinds[category.name] for category in CATEGORIES if kinds[category.name]["spans"]}
    rows = (f"| {name} | {each['spans']} | {_percent(1 - each['recall_any_type'])} |" for name, each in counted.items())
    return "\n".join(("| what | spans | not masked completely, % |", "| --- | --- | --- |", *rows))


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
    "lower": "under a closing, in small letters (*thanks young*)",
    "surname-first": "*Surname, First name*",
    "kind rare": "rare surnames",
    "kind common": "common surnames",
    "kind word": "surnames that are words (*Young, Koch, Petit*)",
    "bare word": "surnames that are words, alone in a sentence",
    **LANGUAGES,
}

UNSEEN_STANDS: Final = {
    "bare": "alone in a sentence (*Page signed for the parcel*)",
    "title": "after a title (*Mrs Page would like …*)",
    "role": "after a role (*your colleague Page*)",
    "greeting": "in a greeting (*Dear Ms Page,*)",
    "lower": "in the last lines, in small letters (*thx / page*, *- page*)",
    "surname-first": "*Surname, First name*",
    "kind name": "surnames that are not words",
    "kind word": "surnames that are words (*Page, Vogel, Blanc*)",
    "bare name": "surnames that are not words, alone in a sentence",
    "bare word": "surnames that are words, alone in a sentence",
    **LANGUAGES,
}

ALARMS: Final = {
    "start": "the word at the start (*Page 3 is missing*)",
    "greeting": "the word after a greeting (*Hello, page keeps crashing*)",
    "inside": "the word elsewhere (*The page won't load*)",
    **LANGUAGES,
    "all": "all sentences",
}


def surnames(figures: Mapping[str, Any]) -> str:
    """Return the share of surnames left visible, by how they stand, by kind and by language, as Markdown."""
    head = (
        "| surnames, seven languages | texts | not masked completely, % | without the words beside them |",
        "| --- | --- | --- | --- |",
    )
    rows = []
    for key, what in STANDS.items():
        (after, count), (before, _) = figures["after"][key], figures["before"][key]
        rows.append(f"| {what} | {count:,} | {_percent(1 - after / count)} | {_percent(1 - before / count)} |")
    return "\n".join((*head, *rows))


def unseen_surnames(figures: Mapping[str, Any]) -> str:
    """Return the same shares of the sentences of another author, and the false alarms, as Markdown."""
    closing = "% (95 % interval) | without the words beside them |"
    line = "| --- | --- | --- | --- |"
    return "\n".join(
        (
            f"| surnames, sentences of another author | texts | not masked completely, {closing}",
            line,
            *_shares(UNSEEN_STANDS, _left(figures["after"]), _left(figures["before"])),
            "",
            f"| sentences without a person | sentences | something masked as a person, {closing}",
            line,
            *_shares(ALARMS, figures["alarms"]["after"], figures["alarms"]["before"]),
        )
    )


def _left(masked: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, int]]:
    return {key: (every - some, every) for key, (some, every) in masked.items()}


def _shares(
    what: Mapping[str, str], after: Mapping[str, Sequence[int]], before: Mapping[str, Sequence[int]]
) -> Iterator[str]:
    for key, title in what.items():
        some, every = after[key]
        share = wilson(some, every)
        interval = f"{_percent(share.value)} ({_percent(share.low)}–{_percent(share.high)})"
        yield f"| {title} | {every:,} | {interval} | {_percent(before[key][0] / every)} |"


def _all(figures: Mapping[str, Any]) -> Iterator[tuple[str, Row, list[Row]]]:
    systems = figures["systems"]
    names = [NAMES[name] for name in systems]
    counted = [category for category in CLAIMED if systems["both"]["kinds"][category.name]["spans"]]
    yield (
        "By span, recall / precision in %; in brackets: recall whatever the type; –: the type is never found",
        ("what", "spans", *names, "target"),
        [_by_span(category, figures) for category in counted],
    )
    yield (
        "By token, recall / precision in %",
        ("what", "tokens", *names),
        [_by_token(category, systems) for category in counted],
    )
    yield (
        "Types that Sprat does not claim to find, by span: recall of the right type, in brackets: whatever the type",
        ("what", "spans", *names),
        [_unclaimed(category, systems) for category in OTHERS],
    )
    yield (
        "Which types count as which",
        ("what", "annotated as", "Sprat", "Presidio"),
        [(category.name, *(", ".join(sorted(each)) or "–" for each in _types(category))) for category in CATEGORIES],
    )
    yield (
        "CPU milliseconds to mask one text full of personal data with all detectors, one thread",
        ("words", "p50", "p95"),
        [(f"{int(words):,}", f"{half:.1f}", f"{most:.1f}") for words, (half, most) in figures["ms_per_text"].items()],
    )


def _by_span(category: Category, figures: Mapping[str, Any]) -> Row:
    cells: list[str] = []
    for name, system in figures["systems"].items():
        counts = system["kinds"][category.name]
        whatever = _percent(counts["recall_any_type"])
        if _claims(category, name) and counts["found"]:
            cells.append(f"{_percent(counts['recall'])} / {_percent(counts['precision'])} ({whatever})")
        else:
            cells.append(f"– ({whatever})")
    return (category.name, str(counts["spans"]), *cells, _verdict(category.name, figures["aims"]))


def _by_token(category: Category, systems: Mapping[str, Any]) -> Row:
    cells = [
        f"{_percent(system['kinds'][category.name]['token_recall'])} / "
        f"{_percent(system['kinds'][category.name]['token_precision'])}"
        if _claims(category, name) and system["kinds"][category.name]["found"]
        else "–"
        for name, system in systems.items()
    ]
    return (category.name, str(systems["both"]["kinds"][category.name]["tokens"]), *cells)


def _unclaimed(category: Category, systems: Mapping[str, Any]) -> Row:
    cells: list[str] = []
    for name, system in systems.items():
        counts = system["kinds"][category.name]
        typed = _percent(counts["recall"]) if _claims(category, name) else "–"
        cells.append(f"{typed} ({_percent(counts['recall_any_type'])})")
    return (category.name, str(systems["both"]["kinds"][category.name]["spans"]), *cells)


def _claims(category: Category, name: str) -> bool:
    return bool(category.presidio if name == "presidio" else category.sprat)


def _types(category: Category) -> tuple[Iterable[str], ...]:
    return category.annotated, category.sprat, category.presidio


def _verdict(name: str, aims: Sequence[Mapping[str, Any]]) -> str:
    return next(("met" if aim["met"] else "not met" for aim in aims if aim["what"] == name), "–")


def _closing(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines below the tables: speed, false positives, targets."""
    systems = figures["systems"]
    speeds = (f"{NAMES[name]} {system['texts_per_cpu_second']:,.0f}" for name, system in systems.items())
    yield f"Texts per CPU second, each text alone, one thread: {', '.join(speeds)}."
    yield f"Texts per CPU second of the tagger when it gets all texts in one call: {figures['in_one_call']:.0f}."
    shares = (f"{NAMES[name]} {_percent(system['masked_but_not_annotated'])} %" for name, system in systems.items())
    yield f"Share of the masked tokens that are not annotated as personal at all: {', '.join(shares)}."
    if absent := [category.name for category in CLAIMED if not systems["both"]["kinds"][category.name]["spans"]]:
        yield f"Claimed, but these texts contain none: {', '.join(absent)}."
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


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _aligned(rows: Sequence[Row]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def masked_queries(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures that prose quotes, by name: names left in compounds, and what masking does to queries."""
    asked = figures["queries"]
    changed = asked["masked"]
    left = {key: _with_interval(every - some, every) for key, (some, every) in figures["compounds"].items()}
    before, after = (f"{_percent(asked['right'][how] / changed)} %" for how in ("plain", "masked"))
    return {
        "compounds-hyphenated": left["hyphen"],
        "compounds-joined": left["joined"],
        "queries-masked": _with_interval(changed, asked["queries"]),
        "queries-numbers": f"{asked['numbers_as_address']}",
        "queries-right": f"{before} as they are and {after} masked (n = {changed})",
    }


def _with_interval(some: int, every: int) -> str:
    share = wilson(some, every)
    interval = f"{_percent(share.low)}–{_percent(share.high)}"
    return f"{_percent(share.value)} % (95 % interval {interval}, n = {every:,})"
