"""Corrections on Kafka, joined with their texts; those with a label that nothing knows are refused."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_cli.correction_labels import announced_labels, did_you_mean, labels_of, named_texts
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable
from sprat_operations import local_run
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import NOT_FOUND, WHY, CorrectedText, join, read_corrections, requested_model
from sprat_operations.large_answers import read_large_answers

OUTSIDE: Final = "outside"
UNTRAINABLE: Final = "untrainable"
OTHER_MODEL: Final = "other_model"
NEW_LABEL: Final = "new_label"
LEFT_OUT_WHY: Final = {
    **WHY,
    OTHER_MODEL: "the text asked for another model",
    NEW_LABEL: "no announced model knows the label: --allow-new-label LABEL takes it",
    OUTSIDE: "outside every known intent: --out-of-scope FILE takes them",
    UNTRAINABLE: "sprat train would refuse the text or the label in such a file: it may be a formula (take .jsonl)",
}
SHOWN: Final = 8
"""Names that are printed; `--json` has all."""

Refused = Mapping[str, Counter[str]]
"""Label that nothing knows → who gave it how often."""


@dataclass(frozen=True, slots=True)
class GivenCorrections:
    """The corrections of one model."""

    examples: list[CorrectedText]
    left_out: Counter[str]
    """Why others are left out → how many."""
    not_found: list[Identity]
    refused: Refused
    known: Collection[str]
    """Labels."""

    @property
    def lines(self) -> list[str]:
        """Return what is left out, for a terminal; corrections of other models need no line."""
        others = Counter({code: number for code, number in self.left_out.items() if code != OTHER_MODEL})
        return list(left_out_lines(others, self.not_found, self.refused, self.known))


def corrections_of(
    kafka: KafkaSettings, task: str, model: str, since_ms: int, more_labels: Collection[str]
) -> GivenCorrections:
    """Return the corrections of a model that were given since a time.

    Args:
        kafka: where they are.
        task: of the model.
        model: its name, as texts ask for it.
        since_ms: in epoch milliseconds.
        more_labels: that are known beside those that are announced.
    """
    with explain_kafka_errors(kafka):
        examples, left_out, not_found = asyncio.run(joined_corrections(kafka, task, since_ms))
        own = [each for each in examples if requested_model(each.text, task) == model]
        known = {*known_labels(kafka, task, model, own), *more_labels}
    left_out[OTHER_MODEL] += len(examples) - len(own)
    kept, refused = of_known_labels(own, known, left_out)
    return GivenCorrections(kept, left_out, not_found, refused, known)


def answers_of(kafka: KafkaSettings, task: str, model: str, since_ms: int) -> list[CorrectedText]:
    """Return the answers of large models to texts that asked for a model, given since a time."""
    with explain_kafka_errors(kafka), read_progress("answers") as progress:
        found = asyncio.run(
            read_large_answers(client_arguments(kafka), kafka.topics, task, since_ms, progress=progress)
        )
    return [each for each in found if requested_model(each.text, task) == model]


async def joined_corrections(
    kafka: KafkaSettings, task: str, since_ms: int | None
) -> tuple[list[CorrectedText], Counter[str], list[Identity]]:
    """Return the corrections given since a time with their texts, why others are left out, and texts not found."""
    client = client_arguments(kafka)
    with read_progress("corrections") as progress:
        corrections = await read_corrections(client, kafka.topics, task, since_ms, progress=progress)
    with read_progress("texts") as progress:
        examples = await join(client, kafka.topics.texts, corrections, progress=progress)
    return examples, corrections.left_out, corrections.not_found


def known_labels(kafka: KafkaSettings, task: str, model: str | None, examples: list[CorrectedText]) -> Collection[str]:
    """Return the labels that the model announces, else every model of the task, and those of the task's file."""
    if not any(labels_of(each.output) for each in examples):
        return ()
    files = chosen_tasks(local_run.find_by_kafka(kafka.bootstrap))
    of_file = files[task].labels if task in files else ()
    announced = asyncio.run(announced_labels(kafka)).get(task, {})
    of_models = announced.get(model or "", {label for labels in announced.values() for label in labels})
    return {*of_file, *of_models}


def of_known_labels(
    examples: list[CorrectedText], known: Collection[str], left_out: Counter[str]
) -> tuple[list[CorrectedText], Refused]:
    """Return the corrections whose labels are all known, and the other labels; count what is left out."""
    kept: list[CorrectedText] = []
    refused: dict[str, Counter[str]] = {}
    for each in examples:
        new = {label for label in labels_of(each.output) if label not in known}
        for label in new:
            refused.setdefault(label, Counter())[each.by] += 1
        if new:
            left_out[NEW_LABEL] += 1
        else:
            kept.append(each)
    return kept, refused


def left_out_lines(
    left_out: Counter[str], not_found: Sequence[Identity], refused: Refused, known: Collection[str]
) -> Iterator[str]:
    """Yield a line for each reason why corrections are left out, and for each label that nothing knows."""
    for code, why in LEFT_OUT_WHY.items():
        if left_out[code]:
            named = f": {named_texts(not_found)}" if code == NOT_FOUND and not_found else ""
            yield f"left out: {left_out[code]:,}  {why}{named}"
            if code == NEW_LABEL:
                yield from _new_labels(refused, known)


def most(names: Counter[str]) -> str:
    """Return the most frequent names, each with its number."""
    parts = [f"{printable(name, 40)} {count:,}" for name, count in names.most_common(SHOWN)]
    return ", ".join(parts) + ("" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more")


def _new_labels(refused: Refused, known: Collection[str]) -> Iterator[str]:
    by_count = sorted(refused.items(), key=lambda each: -each[1].total())
    for label, authors in by_count[:SHOWN]:
        yield f"  {printable(label, 60)} {authors.total():,}, by {most(authors)}{did_you_mean(label, known)}"
    if len(by_count) > SHOWN:
        yield f"  and {len(by_count) - SHOWN:,} more labels (--json names all)"
