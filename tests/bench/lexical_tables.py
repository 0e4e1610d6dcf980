"""The figures of models with their lexical stage and without it, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Figures = Mapping[str, Any]

LANGUAGES: Final = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
}
HEAD: Final = (
    "model, texts",
    "stage",
    "best label right",
    "kept",
    "right of kept",
    "ECE",
    "near outside, kept with a label",
    "far",
    "answered by words, wrong of it",
    "CPU s per 1,000 texts, in batches of 64",
    "of 500",
)


def markdown(figures: Figures) -> str:
    """Return the tables and what was missed."""
    sets = [line for name, found in figures["sets"].items() for line in _set_rows(name, found)]
    slips = [
        (
            f"`{name}`, {what}",
            "on" if mode == "on" else "off",
            _percent(found[mode]["accuracy"]),
            _percent(found[mode]["kept_share"]),
            _percent(found[mode]["kept_right"]),
            _by_words(found) if mode == "on" else "–",
        )
        for name, each in figures["slips"].items()
        for what, found in each.items()
        for mode in ("on", "off")
    ]
    missed = [f"- {line}" for line in figures["missed"]]
    return "\n\n".join(
        (
            _table(HEAD, sets),
            _table(("CLINC150 test, %", "stage", "best label right", "kept", "right of kept", HEAD[8]), slips),
            _languages(figures["languages"]),
            "\n".join(("Worse than it may be:", "", *missed)) if missed else "Nothing is worse than it may be.",
        )
    )


def _set_rows(name: str, found: Figures) -> Iterator[tuple[str, ...]]:
    for mode in ("on", "off"):
        one = found[mode]
        yield (
            f"{name}, {found['texts']:,}",
            mode,
            _percent(one["accuracy"]),
            _percent(one["kept_share"]),
            _percent(one["kept_right"]),
            f"{one['ece']:.3f}",
            f"{_percent(one['near_kept'])} % of {found['near_texts']:,}",
            f"{_percent(one['far_kept'])} % of {found['far_texts']:,}",
            _by_words(found) if mode == "on" else "–",
            *(
                f"{one[cpu]:.2f}" + (f" ({found[ratio]:.2f} times)" if mode == "on" else "")
                for cpu, ratio in (("cpu", "cpu_ratio"), ("cpu_many", "cpu_ratio_many"))
            ),
        )


def _languages(figures: Figures) -> str:
    """Return the sentence on texts in other languages."""
    said = []
    for name, each in figures.items():
        shares = ", ".join(
            f"{LANGUAGES[tag]} {found['as_english'] * found['texts']:.0f} of {found['texts']}"
            for tag, found in each.items()
        )
        none = not any(found["as_they_are"] for found in each.values())
        said.append(f"- `{name}`: {shares}; said to be what they are, {'none' if none else 'some'}")
    return "\n".join(("Texts in other languages that are said to be English, and that the stage answers:", "", *said))


def _by_words(found: Figures) -> str:
    return f"{_percent(found['by_words'])}, {100 * found['by_words_wrong']:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
