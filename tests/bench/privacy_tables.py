"""The tables of `privacy_quality.py`: for the terminal, and as Markdown for the page of benchmarks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tests.bench.privacy_scoring import KINDS, Kind

NAMES: Final = {"validators": "validators", "tagger": "tagger", "both": "both", "presidio": "Presidio"}

CLAIMED: Final = tuple(kind for kind in KINDS if kind.sprat)
OTHERS: Final = tuple(kind for kind in KINDS if not kind.sprat)

Row = Sequence[str]


def text(figures: Mapping[str, Any]) -> str:
    """All tables, in columns."""
    return (
        "\n".join(f"\n{title}\n" + "\n".join(_aligned([head, *rows])) for title, head, rows in _all(figures))
        + "\n\n"
        + "\n".join(_closing(figures))
    )


def markdown(figures: Mapping[str, Any]) -> str:
    """All tables, as markdown."""
    pieces: list[str] = []
    for title, head, rows in _all(figures):
        lines = [head, ["---"] * len(head), *rows]
        pieces.append(f"{title}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join((*pieces, "\n".join(f"- {line}" for line in _closing(figures))))


def missed(figures: Mapping[str, Any]) -> str:
    """Return the share of spans that all detectors together leave visible in part or wholly, as Markdown."""
    kinds = figures["systems"]["both"]["kinds"]
    rows = (
        f"| {kind.name} | {kinds[kind.name]['spans']} | {_percent(1 - kinds[kind.name]['recall_any_type'])} |"
        for kind in KINDS
        if kinds[kind.name]["spans"]
    )
    return "\n".join(("| what | spans | not masked completely, % |", "| --- | --- | --- |", *rows))


def _all(figures: Mapping[str, Any]) -> Iterator[tuple[str, Row, list[Row]]]:
    systems = figures["systems"]
    names = [NAMES[name] for name in systems]
    counted = [kind for kind in CLAIMED if systems["both"]["kinds"][kind.name]["spans"]]
    yield (
        "By span, recall / precision in %; in brackets: recall whatever the type; –: the type is never found",
        ("what", "spans", *names, "target"),
        [_by_span(kind, figures) for kind in counted],
    )
    yield (
        "By token, recall / precision in %",
        ("what", "tokens", *names),
        [_by_token(kind, systems) for kind in counted],
    )
    yield (
        "Types that Sprat does not claim to find, by span: recall of the right type, in brackets: whatever the type",
        ("what", "spans", *names),
        [_unclaimed(kind, systems) for kind in OTHERS],
    )
    yield (
        "Which types count as which",
        ("what", "annotated as", "Sprat", "Presidio"),
        [(kind.name, *(", ".join(sorted(each)) or "–" for each in _types(kind))) for kind in KINDS],
    )
    yield (
        "CPU milliseconds to mask one text full of personal data with all detectors, one thread",
        ("words", "p50", "p95"),
        [(f"{int(words):,}", f"{half:.1f}", f"{most:.1f}") for words, (half, most) in figures["ms_per_text"].items()],
    )


def _by_span(kind: Kind, figures: Mapping[str, Any]) -> Row:
    cells: list[str] = []
    for name, system in figures["systems"].items():
        counts = system["kinds"][kind.name]
        whatever = _percent(counts["recall_any_type"])
        if _claims(kind, name) and counts["found"]:
            cells.append(f"{_percent(counts['recall'])} / {_percent(counts['precision'])} ({whatever})")
        else:
            cells.append(f"– ({whatever})")
    return (kind.name, str(counts["spans"]), *cells, _verdict(kind.name, figures["aims"]))


def _by_token(kind: Kind, systems: Mapping[str, Any]) -> Row:
    cells = [
        f"{_percent(system['kinds'][kind.name]['token_recall'])} / "
        f"{_percent(system['kinds'][kind.name]['token_precision'])}"
        if _claims(kind, name) and system["kinds"][kind.name]["found"]
        else "–"
        for name, system in systems.items()
    ]
    return (kind.name, str(systems["both"]["kinds"][kind.name]["tokens"]), *cells)


def _unclaimed(kind: Kind, systems: Mapping[str, Any]) -> Row:
    cells: list[str] = []
    for name, system in systems.items():
        counts = system["kinds"][kind.name]
        typed = _percent(counts["recall"]) if _claims(kind, name) else "–"
        cells.append(f"{typed} ({_percent(counts['recall_any_type'])})")
    return (kind.name, str(systems["both"]["kinds"][kind.name]["spans"]), *cells)


def _claims(kind: Kind, name: str) -> bool:
    return bool(kind.presidio if name == "presidio" else kind.sprat)


def _types(kind: Kind) -> tuple[Iterable[str], ...]:
    return kind.annotated, kind.sprat, kind.presidio


def _verdict(name: str, aims: Sequence[Mapping[str, Any]]) -> str:
    return next(("met" if aim["met"] else "not met" for aim in aims if aim["what"] == name), "–")


def _closing(figures: Mapping[str, Any]) -> Iterator[str]:
    """What stands below the tables: speed, finds of nothing, aims."""
    systems = figures["systems"]
    speeds = (f"{NAMES[name]} {system['texts_per_cpu_second']:,.0f}" for name, system in systems.items())
    yield f"Texts per CPU second, each text alone, one thread: {', '.join(speeds)}."
    yield f"Texts per CPU second of the tagger when it gets all texts in one call: {figures['in_one_call']:.0f}."
    shares = (f"{NAMES[name]} {_percent(system['masked_but_not_annotated'])} %" for name, system in systems.items())
    yield f"Share of the masked tokens that are not annotated as personal at all: {', '.join(shares)}."
    if absent := [kind.name for kind in CLAIMED if not systems["both"]["kinds"][kind.name]["spans"]]:
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
