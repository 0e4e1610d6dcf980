"""The tables about the detector of languages for `docs/benchmarks.md`."""

from collections.abc import Iterator, Mapping
from typing import Any

OURS = "Sprat"
SHORTEST = ("written for Sprat", "1–3 words")


def markdown(figures: Mapping[str, Any]) -> str:
    """Return how often it is right beside other libraries, how sure it is, and what it costs."""
    return "\n".join([*_right(figures), "", *_confidence(figures), "", *_cost(figures)])


def quoted(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures that prose quotes, by name."""
    row = next(each for each in figures["right"] if (each["data"], each["words"]) == SHORTEST)
    return {"short-texts-right": f"{100 * row['right'][OURS] / row['texts']:.0f} % are right (n = {row['texts']:,})"}


def _right(figures: Mapping[str, Any]) -> Iterator[str]:
    names = list(figures["cost"])
    yield f"Detector {figures['detector']}."
    yield ""
    yield f"| right, % | texts | {' | '.join(names)} |"
    yield f"| --- | --- |{' --- |' * len(names)}"
    for row in figures["right"]:
        shares = " | ".join(f"{100 * row['right'][name] / row['texts']:.1f}" for name in names)
        yield f"| {row['data']} ({', '.join(row['languages'])}), {row['words']} | {row['texts']:,} | {shares} |"


def _confidence(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "| texts | n | right, % | ECE | sure by at least 0.5, % | of those right, % |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for what, one in figures["confidence"].items():
        shares = [f"{100 * one[name]:.1f}" for name in ("right", "taken", "taken_right")]
        yield f"| {what} | {one['texts']:,} | {shares[0]} | {one['ece']:.3f} | {shares[1]} | {shares[2]} |"


def _cost(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "| library | CPU per text, µs | loading, CPU s | memory, MiB | version |"
    yield "| --- | --- | --- | --- | --- |"
    for name, one in figures["cost"].items():
        versions = ", ".join(f"{each} {number}" for each, number in one["versions"].items())
        yield f"| {name} | {one['us']:.0f} | {one['load_s']:.2f} | {max(0, one['rss_mib']):.0f} | {versions} |"
