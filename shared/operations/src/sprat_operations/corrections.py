"""Corrections before they are published, and those on Kafka joined with their texts.

A misspelt label would be trained as a new one, and whoever may write corrections can make one up: labels that nothing
knows are refused before, and left out afterwards.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from aiokafka.errors import KafkaConnectionError, KafkaError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import printable
from sprat.kafka.clients import client_arguments
from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, Output, Result, Topics, WireError, decode
from sprat_operations import local_run
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import (
    NOT_FOUND,
    WHY,
    CorrectedText,
    Correction,
    Corrections,
    TextSearch,
    find_texts,
    join,
    read_corrections,
    requested_model,
)
from sprat_operations.models import registered_models
from sprat_operations.topic_reader import OnReadProgress, ProgressOf, no_progress, no_progress_of, read_since
from sprat_training.datasets.distinct import OUTSIDE, is_remainder

Known = Mapping[str, Collection[str]]
"""Model → its intents."""

_LOOK_S: Final = 10.0
"""Stop looking for texts after this time: a correction must not wait long for a remark."""
_SHOWN: Final = 5


async def check_corrections(
    kafka: KafkaSettings,
    messages: Sequence[FeedbackGiven],
    *,
    new_labels: Collection[str] = (),
    all_new: bool = False,
    missing_texts: bool = False,
    progress: ProgressOf = no_progress_of,
) -> list[str]:
    """Refuse labels that no model knows, and texts that are not there; return remarks on those that are published.

    What cannot be read (announcements, texts) is not checked: a correction does not depend on it.

    Args:
        kafka: where models are announced and texts are.
        messages: the corrections.
        new_labels: the labels that may be published though they are not known.
        all_new: publish every label that is not known, with a remark on each.
        missing_texts: publish corrections of texts that are not there, with a remark.
        progress: shows how far texts are read.

    Raises:
        UserError: the requested model, or every model, does not know a label, or a text is not there, and the
            correction may not be published.
    """
    try:
        announced = await announced_labels(kafka) if any(labels_of(each.output) for each in messages) else {}
    except KafkaConnectionError:
        raise
    except (KafkaError, UserError, TimeoutError):
        announced = {}
    search, complete = await _looked_for(kafka, messages, progress)
    problems: list[str] = []
    notes: list[str] = []
    for task, known in announced.items():
        asked = {identity: requested_model(found.text, task) for identity, found in search.found.items()}
        of_task = [each for each in messages if each.task == task]
        found_problems, found_notes = judge_labels(of_task, known, asked, new_labels)
        problems += found_problems
        notes += found_notes
    if problems and not all_new:
        advice = (
            "correct it; or, where the text is outside every label, give --outside (in a file: null) and no label; or "
            "publish a new label with --allow-new-label LABEL, repeatable, or all of them with --allow-new-labels; "
            "nothing is published"
        )
        raise UserError("\n".join([*problems, advice]))
    missing = search.missing - search.invalid if complete else set()
    if missing and not missing_texts:
        advice = "correct id and source, or publish it all the same with --allow-missing-texts; nothing is published"
        raise UserError(f"{_not_found(missing, messages, kafka.topics.texts)}; {advice}")
    return [*problems, *notes, *([_not_found(missing, messages, kafka.topics.texts)] if missing else [])]


def in_doubt(label: str, known: Known) -> bool:
    """Return whether only some models know a label: the text says which model it asked for."""
    return 0 < sum(label in labels for labels in known.values()) < len(known)


def judge_labels(
    messages: Sequence[FeedbackGiven],
    known: Known,
    asked: Mapping[Identity, str],
    new_labels: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Return a line for each label that its model does not know, and what could not be judged.

    Args:
        messages: the corrections, of one task.
        known: the labels of its announced models.
        asked: the models that texts ask for, of those that were found.
        new_labels: those that are not judged.
    """
    every = {label for labels in known.values() for label in labels}
    if not every:
        return [], []
    word = "intent" if all(each.task == "intent" for each in messages) else "label"
    given = [(each, label) for each in messages for label in labels_of(each.output) if label not in new_labels]
    labels = {label for _, label in given}
    unknown = sorted(labels - every)
    lines = []
    for label in unknown:
        meant = did_you_mean(label, _of_concerned(label, given, known, asked))
        lines.append(f"no announced model knows the {word} {printable(label, 60)}{meant}")
    doubtful = [(asked.get((each.text_source, each.text_id)), label) for each, label in given if in_doubt(label, known)]
    judged = [(model, label) for model, label in doubtful if model is not None and model in known]
    wrong = Counter((model, label) for model, label in judged if label not in known[model])
    for (model, label), count in wrong.items():
        texts = "1 text asks for" if count == 1 else f"{count:,} texts ask for"
        others = [name for name in known if label in known[name]]
        do = f"{', '.join(others)} {'does' if len(others) == 1 else 'do'}"
        do += did_you_mean(label, known[model])
        lines.append(f"the model {model}, which {texts}, does not know the {word} {printable(label, 60)}; {do}")
    notes = []
    if unchecked := len(doubtful) - len(judged):
        which = "1 label was" if unchecked == 1 else f"{unchecked:,} labels were"
        why = "the text was not found, or asks for a model that announces no labels"
        notes.append(f"{which} checked against all models together: {why}")
    return lines, notes


def named_texts(identities: Collection[Identity]) -> str:
    """Return ids and sources of the first five texts, and how many more there are."""
    shown = ", ".join(f"{printable(id, 60)} of {printable(source, 60)}" for source, id in sorted(identities)[:_SHOWN])
    return shown + (f" and {len(identities) - _SHOWN:,} more" if len(identities) > _SHOWN else "")


def identities_json(identities: Iterable[Identity]) -> list[dict[str, str]]:
    """Return ids and sources of all texts, sorted by source, for `--json`."""
    return [{"text_id": id, "text_source": source} for source, id in sorted(identities)]


def _not_found(missing: Collection[Identity], messages: Sequence[FeedbackGiven], topic: str) -> str:
    """Return that texts with these ids and sources are not there, and what it means."""
    shown = named_texts(missing)
    count = len({(each.text_source, each.text_id) for each in messages})
    why = "kept no longer, or id and source are not right"
    if count == 1:
        return f"{topic} holds no text {shown}: {why}; nothing can be learnt from its correction"
    are, their = ("is", "its correction") if len(missing) == 1 else ("are", "their corrections")
    return (
        f"{len(missing):,} of {count:,} texts {are} not in {topic}, {why}: {shown}; nothing can be learnt from {their}"
    )


def labels_of(output: Output) -> tuple[str, ...]:
    """Return the labels that a correction gives as the right output."""
    if isinstance(output, LabelsOutput):
        return tuple(each.label for each in output.labels)
    return (output.label,) if isinstance(output, IntentOutput) and output.label is not None else ()


def _of_concerned(
    label: str, given: Sequence[tuple[FeedbackGiven, str]], known: Known, asked: Mapping[Identity, str]
) -> Collection[str]:
    """Return the labels of the models that the texts with a label ask for; of all models where a text was not found."""
    models = {asked.get((each.text_source, each.text_id)) for each, its in given if its == label}
    concerned = known.values() if None in models else [labels for name, labels in known.items() if name in models]
    return {each for labels in concerned for each in labels}


def did_you_mean(label: str, known: Collection[str]) -> str:
    """Return what may have been meant by a label: that no label is right comes first, then one of a model's labels."""
    is_outside = label == OUTSIDE or is_remainder(label)
    near = get_close_matches(label, known, 1)
    said = ""
    if is_outside:
        said = f"; where {printable(label, 60)} means outside every label, give --outside (in a file: null)"
    if near and (not is_outside or is_remainder(near[0])):
        said += f"; did you mean {printable(near[0], 60)}?"
    return said


async def announced_labels(kafka: KafkaSettings) -> dict[str, dict[str, Collection[str]]]:
    """Return task → model → labels of the models that are announced, without those that announce none."""
    by_task: dict[str, dict[str, Collection[str]]] = {}
    for each in (await registered_models(kafka)).announced:
        if each.labels:
            by_task.setdefault(each.task, {})[each.model] = frozenset(each.labels)
    return by_task


async def _looked_for(
    kafka: KafkaSettings, messages: Sequence[FeedbackGiven], progress_of: ProgressOf
) -> tuple[TextSearch, bool]:
    """Return the texts that were found in time, and whether all were read."""
    wanted = TextSearch({(each.text_source, each.text_id) for each in messages})
    with suppress(KafkaError, UserError, TimeoutError), progress_of("texts") as progress:
        async with asyncio.timeout(_LOOK_S):
            await find_texts(client_arguments(kafka), kafka.topics.texts, wanted, progress=progress)
        return wanted, True
    return wanted, False


OUTSIDE_INTENTS: Final = "outside"
UNTRAINABLE: Final = "untrainable"
OTHER_MODEL: Final = "other_model"
NEW_LABEL: Final = "new_label"
LEFT_OUT_WHY: Final = {
    **WHY,
    OTHER_MODEL: "the text asked for another model",
    NEW_LABEL: "no announced model knows the label: --allow-new-label LABEL takes it",
    OUTSIDE_INTENTS: "outside every known intent: --out-of-scope FILE takes them",
    UNTRAINABLE: "sprat train would refuse the text or the label in such a file: it may be a formula (take .jsonl)",
}
SHOWN: Final = 8
"""Names that are printed; `--json` has all."""

Refused = Mapping[str, Counter[str]]
"""Label that nothing knows → who gave it how often."""


@dataclass(frozen=True, slots=True)
class GivenCorrections:
    """The corrections of one model."""

    model: str | None
    """As texts ask for it; None where there is no correction, and none was named."""

    examples: list[CorrectedText]
    others: Counter[str]
    """Other models of the task → their corrections."""
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


async def corrections_of(
    kafka: KafkaSettings,
    task: str,
    model: str | None,
    since_ms: int | None,
    *,
    new_labels: Collection[str] = (),
    all_new: bool = False,
    progress: ProgressOf = no_progress_of,
) -> GivenCorrections:
    """Return the corrections of a model that were given since a time, with their texts.

    Args:
        kafka: where they are.
        task: of the model.
        model: its name, as texts ask for it; None: the only one that was corrected.
        since_ms: in epoch milliseconds; None: all.
        new_labels: labels that are taken though no announced model and no file of the task knows them.
        all_new: take every label.
        progress: shows how far records are read.

    Raises:
        UserError: no model is named, and several were corrected.
    """
    examples, left_out, not_found = await joined_corrections(kafka, task, since_ms, progress)
    counts = Counter(requested_model(each.text, task) for each in examples)
    if model is None and len(counts) > 1:
        raise UserError(
            f"these are corrections of {len(counts)} models of {task}, each with labels of its own: "
            f"{', '.join(f'{name} {count:,}' for name, count in counts.most_common())}; export one with --model NAME"
        )
    model = next(iter(counts), None) if model is None else model
    others = Counter({name: count for name, count in counts.items() if name != model})
    left_out[OTHER_MODEL] += others.total()
    own = [each for each in examples if requested_model(each.text, task) == model]
    if all_new:
        return GivenCorrections(model, own, others, left_out, not_found, {}, ())
    known = {*await _known_labels(kafka, task, model, own), *new_labels}
    kept, refused = of_known_labels(own, known, left_out)
    return GivenCorrections(model, kept, others, left_out, not_found, refused, known)


async def answers_of(
    kafka: KafkaSettings, task: str, model: str, since_ms: int, progress: ProgressOf = no_progress_of
) -> list[CorrectedText]:
    """Return the answers of large models to texts that asked for a model, given since a time."""
    with progress("answers") as shown:
        found = await read_large_answers(client_arguments(kafka), kafka.topics, task, since_ms, progress=shown)
    return [each for each in found if requested_model(each.text, task) == model]


async def joined_corrections(
    kafka: KafkaSettings, task: str, since_ms: int | None, progress_of: ProgressOf
) -> tuple[list[CorrectedText], Counter[str], list[Identity]]:
    """Return the corrections given since a time with their texts, why others are left out, and texts not found."""
    client = client_arguments(kafka)
    with progress_of("corrections") as progress:
        corrections = await read_corrections(client, kafka.topics, task, since_ms, progress=progress)
    with progress_of("texts") as progress:
        examples = await join(client, kafka.topics.texts, corrections, progress=progress)
    return examples, corrections.left_out, corrections.not_found


async def _known_labels(
    kafka: KafkaSettings, task: str, model: str | None, examples: Sequence[CorrectedText]
) -> Collection[str]:
    """Return the labels that the model announces, else every model of the task, and those of the task's file."""
    if not any(labels_of(each.output) for each in examples):
        return ()
    files = chosen_tasks(local_run.find_by_kafka(kafka.bootstrap))
    of_file = files[task].labels if task in files else ()
    announced = (await announced_labels(kafka)).get(task, {})
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


FRONTIER: Final = "frontier"


async def read_large_answers(
    client: Mapping[str, Any],
    topics: Topics,
    task: str,
    since_ms: int | None,
    *,
    progress: OnReadProgress = no_progress,
) -> list[CorrectedText]:
    """Return the texts that a large model answered at `since_ms` (epoch) or later, None: all, with its answers.

    Of several Results of a text the first one counts, as for consumers. Left out are texts that are no longer there,
    and those that ask for some labels alone: among all of them, another one may be right.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    form: type[Output] = topics.tasks[task]
    found = Corrections(task, form)
    async for record in read_since(client, [topics.results(task)], since_ms, progress=progress):
        try:
            result = decode(record, Result).message
        except WireError:
            continue
        if result.source == FRONTIER and isinstance(result.output, form):
            answered = Correction(result.output, FRONTIER, record.timestamp)
            found.latest.setdefault((result.text_source, result.text_id), answered)
    joined = await join(client, topics.texts, found, progress=progress) if found.latest else []
    return [each for each in joined if (options := each.text.tasks.options(task)) and options.labels is None]
