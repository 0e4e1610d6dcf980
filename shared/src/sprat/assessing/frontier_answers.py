"""What a frontier model says of texts: from a file of its answers, or asked now."""

import json
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat.labelled import Labelled, key_of, read_labelled


@dataclass(frozen=True, slots=True)
class FrontierAnswers:
    """One entry a text."""

    labels: tuple[str | None, ...]
    """None where it gave no answer, or none that can be used."""
    eur: tuple[float, ...]
    """What each answer cost."""


def read_answers(path: Path, asked: Labelled, eur: float) -> FrontierAnswers:
    """Read the answers of a frontier model to the texts of `asked`: a file like it, with the model's labels.

    Args:
        path: .csv, .tsv or .jsonl; a field `cost_eur` of a .jsonl says what an answer cost.
        asked: the texts.
        eur: what an answer costs where the file does not say.

    Raises:
        UserError: the file cannot be read, or has no answer for some text.
    """
    read = read_labelled(path)
    costs = _costs(path, read, eur)
    found = {key_of(text): place for place, text in enumerate(read.texts)}
    missing = [row for row, text in zip(asked.rows, asked.texts, strict=True) if key_of(text) not in found]
    if missing:
        raise UserError(
            f"{path}: has no answer to {len(missing):,} of the texts of {asked.path}, the first of them in row "
            f"{missing[0]}; add them, or leave the rows out"
        )
    places = [found[key_of(text)] for text in asked.texts]
    return FrontierAnswers(tuple(read.labels[place] for place in places), tuple(costs[place] for place in places))


def write_answers(path: Path, asked: Labelled, answers: FrontierAnswers) -> None:
    """Keep answers that were paid for; those that were none are left out.

    Raises:
        UserError: the file cannot be written.
    """
    rows = zip(asked.texts, answers.labels, answers.eur, strict=True)
    lines = [
        json.dumps({"text": text, "label": label, "cost_eur": eur}, ensure_ascii=False)
        for text, label, eur in rows
        if label is not None
    ]
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _costs(path: Path, read: Labelled, eur: float) -> list[float]:
    if path.suffix.lower() not in (".jsonl", ".ndjson", ".json"):
        return [eur] * len(read)
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    costs = []
    for row in read.rows:
        cost = json.loads(lines[row - 1]).get("cost_eur", eur)
        if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < 1_000_000:
            raise UserError(
                f'{path}: row {row}, column "cost_eur": not an amount of euros; write a number, or leave it out'
            )
        costs.append(float(cost))
    return costs
