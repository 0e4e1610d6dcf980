"""Masking beside Presidio, and names beside spaCy's small English model: CPU seconds per 1,000 texts, one thread.

Each text is masked by itself, as the services do; names are found in batches of 256. Their quality is measured
elsewhere (`privacy_quality.py`, `ner_quality.py`).
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sprat_privacy import Detector, NameDetector, mask
from sprat_privacy.detectors.name_context import NameContext
from sprat_privacy.detectors.tagger import Tagger
from sprat_privacy.detectors.validators.suite import Validators
from tests.bench import ner_quality, privacy_quality
from tests.bench.peers.environments import python_of, variables
from tests.bench.privacy_scoring import read

PERSONAL: Final = "presidio-research"
"""Texts full of personal data."""
BENCH: Final = Path(__file__).parents[1]


def measure(data: Path, sets: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Any]:
    """Return the figures by data set and system; the systems take turns."""
    texts = {**sets, PERSONAL: [row.text for row in read(data)]}
    return {name: _measure(name, each, rounds) for name, each in texts.items()}


def _measure(name: str, texts: Sequence[str], rounds: int) -> dict[str, Any]:
    systems: dict[str, Callable[[Sequence[str]], float]] = {
        "sprat masking": _sprat_masking(),
        "presidio": _presidio,
        "sprat names": _sprat_names,
        "spacy names": _spacy_names,
    }
    spent: dict[str, list[float]] = {}
    for _ in range(rounds):
        for system, cpu_s in systems.items():
            spent.setdefault(system, []).append(1000 * cpu_s(texts) / len(texts))
    medians = {system: statistics.median(each) for system, each in spent.items()}
    print(f"  {name}: {medians}", flush=True)
    return {"texts": len(texts), "cpu_s_per_1000": medians, "rounds": spent}


def _sprat_masking() -> Callable[[Sequence[str]], float]:
    tagger = Tagger.load(privacy_quality.ARTEFACT)
    detectors: list[Detector] = [Validators(), NameDetector(tagger, tagger.card.languages), NameContext()]

    def cpu_s(texts: Sequence[str]) -> float:
        began = time.process_time()
        for text in texts:
            mask(text, "en", detectors, validators_alone=("en",))
        return time.process_time() - began

    mask("warm up", "en", detectors, validators_alone=("en",))
    return cpu_s


def _presidio(texts: Sequence[str]) -> float:
    return float(_last([str(python_of("presidio")), str(BENCH / "presidio_runner.py")], _lines(texts))["cpu_s"])


def _sprat_names(texts: Sequence[str]) -> float:
    command = [sys.executable, str(BENCH / "ner_speed_runner.py"), str(ner_quality.ARTEFACT), "1"]
    return float(_last(command, _lines(texts))["cpu_s"][0])


def _spacy_names(texts: Sequence[str]) -> float:
    lines = "".join(json.dumps({"words": [text], "spaces": [False]}) + "\n" for text in texts)
    return float(_last([str(python_of("presidio")), str(BENCH / "spacy_ner_runner.py"), "1"], lines)["cpu_s"][0])


def _lines(texts: Sequence[str]) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def _last(command: Sequence[str], lines: str) -> Any:
    done = subprocess.run(command, input=lines, env=variables(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
