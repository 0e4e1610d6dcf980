"""Time the NER model in its own process, so that its memory can be measured.

    python tests/bench/ner_speed_runner.py ARTEFACT ROUNDS < texts.jsonl

Reads one `{"text": …}` a line. Writes one line with `cpu_s` (of each of ROUNDS rounds over all texts, everything that
makes an answer included; loading and a warm-up not counted) and `rss_mib` (the process at its largest).
"""

import json
import re
import sys
import time
from pathlib import Path

from sprat.base.model import Question
from sprat_ner.model import NerModel

BATCH = 256


def main() -> None:
    model = NerModel.load(Path(sys.argv[1]))
    questions = [Question(json.loads(line)["text"], "en") for line in sys.stdin]
    model.answer(questions[:BATCH])
    cpu_s = []
    for _ in range(int(sys.argv[2])):
        start = time.process_time()
        for first in range(0, len(questions), BATCH):
            model.answer(questions[first : first + BATCH])
        cpu_s.append(time.process_time() - start)
    rss_mib = largest_rss_mib()
    print(json.dumps({"cpu_s": cpu_s, "rss_mib": rss_mib}))


def largest_rss_mib() -> float:
    """Return the peak memory as Linux counts it; `getrusage` would include the parent at the start."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
