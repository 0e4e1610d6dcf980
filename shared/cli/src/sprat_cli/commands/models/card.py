"""A model's card in words: facts, scores, works it is made of, limits."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sprat_cli.terminal import faint, printable, table
from sprat_inference.card import Calibration, Card, Score

_WIDTH: Final = 110
_LABELS: Final = 12


def card_lines(card: Card, name: str) -> Iterator[str]:
    """Return the card line by line; `name` is the name that texts ask for it by, or its own."""
    yield f"{card.task}/{printable(name)}, version {card.version}" + (
        f", on {card.built_on.name} {card.built_on.version}" if card.built_on else ""
    )
    yield from _facts(card)
    yield from _chapter("how good it is", _scores(card))
    yield from _chapter("made of", _works(card))
    yield from _chapter("what it cannot do", [f"- {limit}" for limit in card.limits])


def by_language(keep_at: Mapping[str, float]) -> list[str]:
    """Return the thresholds of languages, as `de:0.95`, in alphabetical order."""
    return [f"{language}:{at:.2f}" for language, at in sorted(keep_at.items())]


def _facts(card: Card) -> list[str]:
    facts = [("reads", f"{', '.join(card.languages)}; the first {card.max_tokens} tokens of a text")]
    if card.targets:
        facts.append(("translates to", ", ".join(card.targets)))
    if card.labels is not None:
        shown = ", ".join(card.labels[:_LABELS])
        more = f" and {len(card.labels) - _LABELS} more" if len(card.labels) > _LABELS else ""
        facts.append((f"{len(card.labels)} labels", f"{shown}{more}"))
    if card.lexical is not None:
        read, least = ", ".join(card.lexical.languages), card.lexical.answers_from
        facts.append(("by words", f"texts in {read}, without the encoder, from {least:.3f} on, {card.lexical.rule}"))
    if card.keep_at_outside is not None:
        facts.append(
            ("without a label", f"kept from {card.keep_at_outside:.2f} on, whatever lower number a policy has")
        )
    facts += [
        ("keep_at", ", ".join([f"{card.keep_at:.2f}", *by_language(card.keep_at_by_language), card.keep_at_rule])),
        ("calibrated on", _calibrated_on(card.calibration)),
        ("licence", card.licence),
    ]
    width = max(len(title) for title, _ in facts) + 4
    return [line for title, said in facts for line in _wrapped(f"  {title}".ljust(width), said)]


def _calibrated_on(calibration: Calibration) -> str:
    """Return on what it was calibrated, and which share of the traffic the figures assume to be outside."""
    return f"{calibration.fitted_on}; {calibration.outside_share:.0%} of the traffic assumed to be outside every label"


def _scores(card: Card) -> list[str]:
    """Return the scores; each protocol once, below the figures that share it."""
    lines: list[str] = []
    for protocol in dict.fromkeys(score.protocol for score in card.scores):
        rows = [(score.name, _value(score, card)) for score in card.scores if score.protocol == protocol]
        lines += [*table(rows), *(faint(line) for line in _wrapped("    ", protocol))]
    return lines


def _value(score: Score, card: Card) -> str:
    """Return a score in words: of a model that keeps nothing, no accuracy of what it keeps."""
    begin, kept, _ = score.name.partition("kept_accuracy")
    nothing = kept and any(each.name == f"{begin}kept_share" and not each.value for each in card.scores)
    return "none: nothing is kept" if nothing else f"{score.value:g}"


def _works(card: Card) -> list[str]:
    return [
        line
        for work in card.made_of
        for line in _wrapped("- ", f"{work.name}, {work.licence}, {work.authors}; for {work.used_for}")
    ]


def _chapter(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)


def _wrapped(first: str, said: str) -> list[str]:
    return textwrap.wrap(
        printable(said), _WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )
