"""The pages with figures: prose by hand, tables and the figures that the prose quotes by this module.

Each measurement saves its figures as JSON under `docs/figures` and has the pages filled again. A test compares the
pages with the files, so no figure is ever edited by hand.
"""

import datetime as dt
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sprat_local.bench.resources import processor
from tests.bench import (
    guarantee_tables,
    language_tables,
    lexical_tables,
    model_tables,
    privacy_tables,
    sizing_tables,
    speed_tables,
)

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs/benchmarks.md"
PAGES: Final = (PAGE, ROOT / "docs/deploy/sizing.md", ROOT / "docs/limits.md", ROOT / "docs/privacy.md")
FIGURES: Final = ROOT / "docs/figures"
MEASURED: Final = "measured"
"""The file that says of each other one at which commit, when and on which processor it was measured."""

_GENERATED: Final = re.compile(r"<!-- figures: (?P<name>[\w-]+) -->\n(?:(?!<!-- ).)*<!-- end of figures -->", re.DOTALL)
_QUOTED: Final = re.compile(r"(?<=\S )<!-- figure: (?P<name>[\w-]+) -->[^<\n]*<!-- end of figure -->")
"""A figure within a sentence: at the start of a line, a comment would begin a block of HTML."""

TRAINED: Final = {
    "banking77": "BANKING77",
    "clinc150": "CLINC150, all",
    "bitext": "bitext support, a fifth held out",
}
PUBLISHED_TRAINING: Final = {
    "banking77": "frozen sentence encoder + logistic regression 84.9–86.2; BERT 93.66",
    "clinc150": "BERT 96.2, under a threshold that also rejects texts",
}

WRONG: Final = {
    "likely wrong": "any other label",
    "likely wrong, shifted": "shifted by a line, blocks of 50 rows",
    "likely wrong, confused": "that of the nearest text with another label",
}


def read(name: str) -> Any:
    """Return the figures that were saved last under this name."""
    return json.loads((FIGURES / f"{name}.json").read_text("utf-8"))


def save(name: str, figures: object) -> None:
    """Write the figures of one measurement, with where they come from, and fill the pages with all of them."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty=, changed"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    now = {"commit": commit, "date": dt.datetime.now(dt.UTC).date().isoformat(), "processor": processor()}
    for saved, content in ((name, figures), (MEASURED, read(MEASURED) | {name: now})):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (FIGURES / f"{saved}.json").write_text(text + "\n", encoding="utf-8")
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """Return the page with every generated part written anew; raise `KeyError` for a name without figures."""
    parts, figures = generated(), quoted()
    page = _GENERATED.sub(lambda found: _part(found["name"], parts[found["name"]]), page)
    return _QUOTED.sub(lambda found: _figure(found["name"], figures[found["name"]]), page)


def _part(name: str, text: str) -> str:
    return f"<!-- figures: {name} -->\n\n{text}\n\n<!-- end of figures -->"


def _figure(name: str, text: str) -> str:
    return f"<!-- figure: {name} -->{text}<!-- end of figure -->"


def names(page: str) -> list[str]:
    """Return the names of the generated parts, and then of the figures in sentences, in the page's order."""
    return [found["name"] for pattern in (_GENERATED, _QUOTED) for found in pattern.finditer(page)]


def quoted() -> dict[str, str]:
    """Return every figure that a sentence quotes, by its name."""
    return (
        model_tables.quoted(read("models"))
        | language_tables.quoted(read("languages"))
        | privacy_tables.masked_queries(read("masked-queries"))
    )


def generated() -> dict[str, str]:
    """Return every generated part as Markdown, by its name."""
    models, privacy = read("models"), read("privacy")
    return {
        "measured": "\n".join(_measured(read(MEASURED))),
        "models": model_tables.summary(models),
        "levels": model_tables.levels(read("levels")),
        "intent": model_tables.intent(models["intent"]),
        "lexical": lexical_tables.markdown(models["lexical"]),
        "ner": model_tables.ner(models["ner"], read("names-left-out")),
        "translation": model_tables.translation(models["translation"]),
        "languages": language_tables.markdown(read("languages")),
        "privacy": privacy_tables.markdown(privacy),
        "privacy-missed": privacy_tables.missed(privacy),
        "surnames": privacy_tables.surnames(read("surnames")),
        "unseen-surnames": privacy_tables.unseen_surnames(read("unseen-surnames")),
        "agreement": _agreement(read("agreement")),
        "training": "\n".join(_training(read("training"))),
        "near-outside": "\n".join(_near_outside(read("near-outside"))),
        "guarantee": guarantee_tables.markdown(read("guarantee")),
        "latency": speed_tables.latency(read("latency")),
        **speed_tables.peers(read("peers")),
        "runtimes": speed_tables.runtimes(read("runtimes")),
        "machine": "\n".join(_machine(read("machine"))),
        **sizing_tables.markdown(read("sizing")),
    }


def _measured(origins: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield "| figures | commit | date | processor |"
    yield "| --- | --- | --- | --- |"
    for name, origin in sorted(origins.items()):
        yield f"| `{name}` | {origin['commit']} | {origin['date']} | {origin['processor'] or 'not recorded'} |"


def _agreement(figures: Mapping[str, Any]) -> str:
    personal = figures["agreement_by_origin"]["presidio-research"]
    return (
        f"The shipped tagger and its original (4-bit ONNX) choose the same label for {figures['agreement']:.2%} of "
        f"{figures['tokens']:,} tokens in 500 texts; in the half that is full of personal data, for {personal:.2%}."
    ).replace("%", " %")


def _training(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "| data | trained on | correct on the test (95 % interval) | kept | right of what is kept | published |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, what in TRAINED.items():
        value, low, high = figures[name]["accuracy"]
        right = f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        yield _training_row(what, [figures[name]], right, PUBLISHED_TRAINING.get(name, "–"))
    for count in (10, 5):
        each = [figures[f"clinc150, {count} a label, {seed}"] for seed in range(3)]
        right = f"{_listed([one['accuracy'][0] for one in each])} %"
        yield _training_row(f"CLINC150, {count} texts per label, three draws", each, right, "–")
    yield ""
    yield (
        "The test texts all have a label. Kept is what reaches the `keep_at` that training recommends, for traffic of "
        "which a tenth is outside every label."
    )
    yield ""
    yield (
        f"With 5 % of the labels of BANKING77 made wrong ({figures['banking77']['texts']:,} texts): how many of these "
        "rows are listed as doubted, and what is kept on the test, without and with `--drop-suspects`:"
    )
    yield ""
    yield "| wrong labels | rows | listed | of those listed, wrong | kept, right of it | with `--drop-suspects` |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, what in WRONG.items():
        one = figures[name]
        yield (
            f"| {what} | {one['planted']:,} | {_percent(one['recall'])} | {_percent(one['precision'])} "
            f"| {_kept(one['kept_share'], one['kept_right'])} "
            f"| {_kept(one['cleaned_kept_share'], one['cleaned_kept_right'])} |"
        )


def _training_row(what: str, each: Sequence[Mapping[str, Any]], right: str, published: str) -> str:
    kept, kept_right = (_listed([one[name] for one in each]) for name in ("kept_share", "kept_right"))
    return f"| {what} | {each[0]['texts']:,} | {right} | {kept} % | {kept_right} % | {published} |"


def _listed(shares: Sequence[float]) -> str:
    *first, last = [f"{100 * share:.1f}" for share in shares]
    return f"{', '.join(first)} and {last}" if first else last


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _kept(share: float, right: float) -> str:
    return f"{_percent(share)}, {_percent(right)}" if share >= 0.005 else "nothing"


def _near_outside(figures: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "| data | labels | texts a label | draws | kept of texts with a label | right of it | near texts a draw "
        "| kept of near texts (least to most of the draws) | kept of far texts "
        "| right of all kept, a tenth near (least of the draws) | … a tenth far |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, one in figures.items():
        of, labels, rows = name.split(", ")
        inside, near, far = (f"{100 * one[f'right_{what}']:.1f} %" for what in ("inside", "with_near", "with_far"))
        least = f"{100 * one['right_with_near_least']:.1f}"
        kept = f"{_percent(one['near_kept'])} ({100 * one['near_kept_least']:.0f}–{100 * one['near_kept_most']:.0f})"
        yield (
            f"| {of} | {labels.split()[0]} | {rows.split()[0]} | {one['draws']} "
            f"| {_percent(one['kept_inside'])} | {inside} | {one['near_texts']:,} | {kept} "
            f"| {_percent(one['far_kept'])} | {near} ({least}) | {far} |"
        )


def _machine(figures: Mapping[str, Any]) -> Iterator[str]:
    memory = sorted(figures["rss_mb"].items(), key=lambda each: -each[1])
    *idle, most = sorted({f"{100 * share:.1f}" for share in figures["idle_share_of_a_core"].values()})
    cost = figures["stream_cost"]
    low, high = min(cost["ratios"]), max(cost["ratios"])
    services = ", ".join(f"{name} {size}" for name, size in memory if name not in {"redis-server", "kafka.Kafka"})
    yield "| what | target | measured |"
    yield "| --- | --- | --- |"
    yield (
        "| cold start of `sprat up` to the first Result, broker and all services included | ≤ 10 s "
        f"| {figures['first_result_s']:.1f} s (median of {figures['rounds']} starts) |"
    )
    yield f"| resident memory of a service | ≤ 300 MB | {services} MB |"
    yield f"| CPU of an idle service, share of a core | ≤ 3 % | {' to '.join([*idle[:1], most])} % |"
    yield (
        "| CPU of the intent service against the bare model on the same texts, real Kafka | ≤ 1.25 times "
        f"| {cost['ratio']:.2f} times with `en-fast` (median of {cost['rounds']} rounds, {low:.2f} to {high:.2f}; "
        f"{cost['texts']:,} different texts each) |"
    )
