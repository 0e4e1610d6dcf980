"""The pages with figures: prose by hand, tables and the figures that the prose quotes by this module.

Each measurement saves its figures as JSON under `docs/figures` and has the pages filled again. A test compares the
pages with the files, so no figure is ever edited by hand.
"""

import datetime as dt
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.bench import (
    guard_tables,
    model_tables,
    privacy_tables,
    scaling_tables,
    speed_tables,
    training_tables,
    written_tables,
)
from tests.bench.machine import processor
from tests.bench.table import table

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (
    *(
        ROOT / f"docs/benchmarks/{page}.md"
        for page in ("index", "speed", "intent", "names", "translation", "privacy", "training", "guard")
    ),
    ROOT / "docs/deploy/sizing.md",
    ROOT / "docs/guides/promise.md",
    ROOT / "docs/limits.md",
    ROOT / "docs/privacy.md",
    ROOT / "docs/train.md",
)
FIGURES: Final = ROOT / "docs/figures"
MEASURED: Final = "measured"
"""The file that says of each other one at which commit, when and on which processor it was measured."""
ZERO_SHOT: Final = ROOT / "shared/encoder/src/sprat_encoder/artefacts/zero-shot/card.json"

_GENERATED: Final = re.compile(r"<!-- figures: (?P<name>[\w-]+) -->\n(?:(?!<!-- ).)*<!-- end of figures -->", re.DOTALL)
_QUOTED: Final = re.compile(r"(?<=\S )<!-- figure: (?P<name>[\w-]+) -->[^<\n]*<!-- end of figure -->")
"""A figure within a sentence: at the start of a line, a comment would begin a block of HTML."""


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
    return {
        **model_tables.quoted(read("models"), read("languages")),
        **privacy_tables.masked_queries(read("masked-queries")),
        **guard_tables.quoted(read("guard")),
        **training_tables.near_quoted(read("near-outside")),
    }


def generated() -> dict[str, str]:
    """Return every generated part as Markdown, by its name."""
    models, levels, peers = read("models"), read("levels"), read("peers")
    return {
        "measured": _measured(),
        "models": model_tables.summary(models),
        "machine": speed_tables.machine(read("machine")),
        "peers": speed_tables.peers(peers),
        "peers-killed": speed_tables.peers_killed(peers),
        "latency": speed_tables.latency(read("latency")),
        "floor": _floor(),
        "runtimes": speed_tables.runtimes(read("runtimes")),
        "intent": model_tables.intent(models["intent"]),
        "levels-intent": model_tables.levels(levels, "intent"),
        "lexical": model_tables.lexical(models["lexical"]),
        "zero-shot": model_tables.zero_shot(json.loads(ZERO_SHOT.read_text("utf-8"))),
        "ner": model_tables.ner(models["ner"], read("names-left-out")),
        "levels-names": model_tables.levels(levels, "ner"),
        "name-levels": model_tables.name_levels(read("name-levels")),
        "translation": model_tables.translation(models["translation"]),
        "levels-translation": model_tables.levels(levels, "translation"),
        "languages": model_tables.languages(read("languages")),
        "privacy": privacy_tables.privacy(read("privacy")),
        "peers-masking": privacy_tables.beside(peers),
        "surnames": privacy_tables.surnames(read("surnames"), read("unseen-surnames")),
        "written": written_tables.written(read("written")),
        "noisy": written_tables.noisy(read("written")),
        "masking-sets": written_tables.masking(read("masking-sets")),
        "agreement": privacy_tables.agreement(read("agreement")),
        "training": training_tables.training(read("training")),
        "encoders": training_tables.encoders(read("encoders")),
        "near-outside": training_tables.near_outside(read("near-outside")),
        "guarantee": training_tables.guarantee(read("guarantee")),
        "false-alarms": guard_tables.false_alarms(read("guard")),
        "until-alarm": guard_tables.until_alarm(read("guard")),
        "streams": guard_tables.streams(read("guard")),
        **speed_tables.sizing(read("sizing")),
        **scaling_tables.scaling(read),
    }


def _floor() -> str:
    try:
        return speed_tables.floor(read("floor"))
    except FileNotFoundError:
        return "Not measured yet: `make bench-floor`."


def _measured() -> str:
    """Return commit, day and processor; of figures from before the processor was recorded, `–`."""
    columns = {"figures": "`{name}`", "commit": "{commit}", "date": "{date}", "processor": "{processor}"}
    origins = sorted(read(MEASURED).items())
    return table(columns, ({"name": name, **of, "processor": of["processor"] or None} for name, of in origins))
