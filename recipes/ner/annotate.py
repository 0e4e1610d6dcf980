"""Turn sentences with their names in brackets into lines of `tests/data/ner_de.jsonl`, checked. No model is involved.

    python -m recipes.ner.annotate sentences.txt … >> tests/data/ner_de.jsonl

A line of the input is one sentence: `[Anna Weber|P] wohnt in [Ulm|L].` with P, O or L for PER, ORG or LOC. The lines
are written in an order drawn by lot from a fixed seed, so that both halves of the set hold every kind of text.
"""

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sprat_inference.words import word_spans

LABELS: Final = {"P": "PER", "O": "ORG", "L": "LOC"}
DATA: Final = Path(__file__).resolve().parents[2] / "tests" / "data" / "ner_de.jsonl"
SEED: Final = 20261127
_NAME: Final = re.compile(r"\[([^\[\]|]+)\|([POL])\]")

Row = dict[str, Any]


def main() -> None:
    """Write the lines to standard output, and what they hold to standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path, nargs="+")
    options = parser.parse_args()
    lines = [line for path in options.sentences for line in path.read_text(encoding="utf-8").splitlines() if line]
    rows = [row_of(line) for line in lines]
    if problems := [*wrong(rows), *doubles(rows, [json.loads(line) for line in DATA.read_text().splitlines()])]:
        sys.exit("\n".join(problems))
    random.Random(SEED).shuffle(rows)  # noqa: S311 - repeatable, no secret
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))
    kinds = Counter(each["label"] for row in rows for each in row["entities"])
    nameless = sum(not row["entities"] for row in rows)
    print(f"{len(rows)} sentences, {nameless} without a name, {dict(kinds)}", file=sys.stderr)


def row_of(line: str) -> Row:
    """Return the text without the brackets, and its names; offsets are code points."""
    text, entities, place = "", [], 0
    for match in _NAME.finditer(line):
        text += line[place : match.start()]
        entities.append({"start": len(text), "end": len(text) + len(match[1]), "label": LABELS[match[2]]})
        text += match[1]
        place = match.end()
    return {"text": text + line[place:], "entities": entities}


def wrong(rows: Iterable[Row]) -> Iterator[str]:
    """Return what is wrong in single sentences."""
    for row in rows:
        text = row["text"]
        if re.search(r"[\[\]|]|^\s|\s$|\s\s", text):
            yield f"brackets or spaces left: {text}"
        bounds = [(int(start), int(end)) for start, end in word_spans(text)]
        names = [text[each["start"] : each["end"]] for each in row["entities"]]
        for each, name in zip(row["entities"], names, strict=True):
            begins = any(start == each["start"] for start, _ in bounds)
            if not begins or not any(end == each["end"] for _, end in bounds):
                yield f"no whole words: {name!r} in {text}"
            marked = sum(other == name for other in names)
            if len(re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", text)) > sum(name in other for other in names):
                yield f"marked {marked} times, there more often: {name!r} in {text}"


def doubles(rows: Iterable[Row], before: Iterable[Row]) -> Iterator[str]:
    """Return the sentences that are there already, whatever their case and punctuation."""
    seen = {_letters(row["text"]) for row in before}
    for row in rows:
        letters = _letters(row["text"])
        if letters in seen:
            yield f"there already: {row['text']}"
        seen.add(letters)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


if __name__ == "__main__":
    main()
