"""Measure the committed translation model, print the scores with their targets, draw chrF against the share kept.

    python tests/bench/translation_quality.py --data DIR [--every N] [--json FILE] [--no-picture]   (or SPRAT_DATA=DIR)

Exits 1 when the card states anything else than what is measured. A target that is missed is said, and no failure: what
the open data allow is what they allow. --every N takes each n-th of Tatoeba's 10,000 texts, for speed; the card's
figures of Tatoeba are not compared then.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from recipes.translation.corpora import NAMES
from recipes.translation.quality import TranslatedPair
from recipes.translation.scores import scores, see_tests
from sprat_inference.card import Score
from sprat_translation.model import TranslationModel
from tests.bench.arguments import parser_of

ROOT = Path(__file__).resolve().parents[2]
ARTEFACT = ROOT / "services/translation/src/sprat_translation/artefacts/en-de"
PICTURE = ROOT / "docs/images/translation_kept.png"

AT_LEAST = {
    "tatoeba_bleu": 36.0,
    "tatoeba_half_bleu": 52.0,
    "chat_bleu": 40.0,
    "chat_half_bleu": 62.0,
    "mixed_auroc": 0.85,
}
AT_MOST = {"flores_kept_poor": 0.05}

INK, ACCENT, FAINT, MARK = "#22313f", "#1f77b4", "#aab7c0", "#d1495b"
COLOURS = {"tatoeba": ACCENT, "chat": "#2a9d8f", "flores": "#e9a03b", "written": "#8a5aa8"}

BLEU_TOLERANCE = 0.5
SHARE_TOLERANCE = 0.02
"""int8 products are rounded differently on other processors: some translations differ."""

_SPEED = """
import json, sys, time
from pathlib import Path
from sprat.base.model import Question
from sprat_translation.model import TranslationModel
model = TranslationModel.load(Path(sys.argv[1]))
questions = [Question(text, "en", "de") for text in json.load(sys.stdin)]
model.answer(questions[:64])
began = time.process_time()
for start in range(0, len(questions), 64):
    model.answer(questions[start : start + 64])
spent = time.process_time() - began
# What getrusage gives of a child begins with its parent's.
resident = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(json.dumps([len(questions) / spent, int(resident) / 1024]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    parser.add_argument("--every", type=int, default=1, help="take each n-th text of Tatoeba's test")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to draw (default: %(default)s)")
    parser.add_argument("--no-picture", action="store_true", help="measure only")
    options = parser.parse_args(argv)
    model = TranslationModel.load(options.artefact)
    card = model.card
    seen = see_tests(model, options.data, options.every)
    measured = scores(seen, card.keep_at)
    complaints = strayed(measured, card.scores, ("tatoeba", "mixed") if options.every > 1 else ())
    rate, resident = speed(options.artefact, seen)
    print(f"translation/{card.name}, version {card.version}, keep_at {card.keep_at}")
    print(table(measured))
    print(f"{'sentences_per_cpu_second':38}{rate:8.1f}  {resident:.0f} MiB resident, of Tatoeba's test, one thread")
    print("\n".join([*missed(measured), *complaints]) or "All targets are met, and the card says the same.")
    if options.json:
        write(options.json, model, measured, {"sentences_per_cpu_second": rate, "resident_mib": resident}, complaints)
    if not options.no_picture:
        draw(seen, card.keep_at, options.picture)
        print(f"drawn: {options.picture}")
    return 1 if complaints else 0


def speed(artefact: Path, seen: Mapping[str, TranslatedPair]) -> tuple[float, float]:
    """Return sentences per CPU second and peak memory in MiB of a process that only translates."""
    texts = seen["tatoeba"].pairs.sources[:1000]
    command = [sys.executable, "-c", _SPEED, str(artefact)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    rate, resident = json.loads(done.stdout)
    return rate, resident


def table(measured: Sequence[Score]) -> str:
    """Return name, value and target of each score, and the signatures."""
    lines = [f"{'figure':38}{'value':>8}  target"]
    for score in measured:
        least, most = AT_LEAST.get(score.name), AT_MOST.get(score.name)
        target = f"≥ {least:g}" if least is not None else f"≤ {most:g}" if most is not None else ""
        lines.append(f"{score.name:38}{score.value:8.4g}  {target}".rstrip())
    signatures = dict.fromkeys(score.protocol.rpartition(": ")[2] for score in measured if "|" in score.protocol)
    return "\n".join([*lines, *signatures])


def missed(measured: Sequence[Score]) -> list[str]:
    """Return one line per missed target."""
    values = {score.name: score.value for score in measured}
    low = [
        f"{name} is {values[name]:g}, the aim is {least:g}" for name, least in AT_LEAST.items() if values[name] < least
    ]
    return low + [
        f"{name} is {values[name]:g}, the aim is at most {most:g}"
        for name, most in AT_MOST.items()
        if values.get(name, 0.0) > most  # of nothing kept, nothing is poor
    ]


def strayed(measured: Sequence[Score], stated: Sequence[Score], without: Sequence[str]) -> list[str]:
    """Return one line per score that differs from the card."""
    card = {score.name: score.value for score in stated}
    return [
        f"{score.name}: the card says {card.get(score.name)}, measured {score.value}"
        for score in measured
        if score.name.partition("_")[0] not in without
        and abs(card.get(score.name, float("inf")) - score.value) > _tolerance(score.name)
    ]


def _tolerance(name: str) -> float:
    return BLEU_TOLERANCE if name.endswith(("_bleu", "_chrf")) else SHARE_TOLERANCE


def write(
    path: Path, model: TranslationModel, measured: Sequence[Score], cost: Mapping[str, float], complaints: Sequence[str]
) -> None:
    """Write all figures as JSON."""
    document = {
        "model": model.card.name,
        "version": model.card.version,
        "keep_at": model.card.keep_at,
        "scores": {score.name: {"value": score.value, "protocol": score.protocol} for score in measured},
        "cost": cost,
        "missed": [*missed(measured), *complaints],
    }
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def draw(seen: Mapping[str, TranslatedPair], keep_at: float, path: Path) -> None:
    """Draw, left, the mean chrF by the share kept, and by log-probability alone; right, the reliability."""
    mpl.use("Agg")  # no screen
    plt.rcParams.update({"font.size": 10, "axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK})
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for name, some in {name: some.with_words() for name, some in seen.items()}.items():
        draw_kept(left, name, some, keep_at)
        draw_reliability(right, name, some)
    left.plot([], [], ":", color=FAINT, label="dotted: by log-probability alone")
    left.set(xlabel="share kept, the surest first", ylabel="mean chrF of the kept", xlim=(0, 1), ylim=(0, 100))
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2)
    right.axvline(keep_at, color=MARK, linewidth=1, linestyle="--", label=f"keep_at = {keep_at:g}")
    right.set(xlabel="stated confidence", ylabel="share with chrF of 60 or more", xlim=(0, 1), ylim=(0, 1))
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(colors=INK, length=3)
        panel.legend(fontsize=8.5, frameon=False, loc="best")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def draw_kept(panel: Axes, name: str, seen: TranslatedPair, keep_at: float) -> None:
    """Draw the curve by confidence with a dot at keep_at, and a thin one by log-probability alone."""
    shares = np.arange(1, len(seen.pairs) + 1) / len(seen.pairs)
    for score, width, style in ((seen.confidence, 1.8, "-"), (seen.log_probability, 0.9, ":")):
        means = np.cumsum(seen.chrf[np.argsort(-score, kind="stable")]) / np.arange(1, len(seen.pairs) + 1)
        label = NAMES[name].partition(" (")[0] if style == "-" else None
        # The first few hold by chance what they hold.
        panel.plot(shares[10:], means[10:], color=COLOURS[name], linewidth=width, linestyle=style, label=label)
    kept = seen.confidence >= keep_at
    if kept.any():
        panel.plot(kept.mean(), seen.chrf[kept].mean(), "o", color=COLOURS[name], markersize=7)


def draw_reliability(panel: Axes, name: str, seen: TranslatedPair) -> None:
    """Draw the share of good translations over the confidence, in tenths with at least 20 texts."""
    places = np.minimum((seen.confidence * 10).astype(int), 9)
    bins = [places == each for each in range(10) if (places == each).sum() >= 20]
    stated, right = [seen.confidence[each].mean() for each in bins], [seen.good[each].mean() for each in bins]
    panel.plot(stated, right, "o-", color=COLOURS[name], linewidth=1.2, markersize=4)


if __name__ == "__main__":
    sys.exit(main())
