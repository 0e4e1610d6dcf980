"""Check corrections before they are published: a misspelt label would be trained as a new one, a wrong id never."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

from aiokafka.errors import KafkaConnectionError, KafkaError

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable, remark
from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, ModelAnnounced, Output, WireError, decode
from sprat_operations.connection import reading_signatures
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import TextSearch, find_texts, requested_model
from sprat_operations.topic_reader import read_since
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
) -> None:
    """Refuse labels that no model knows, and texts that are not there.

    What cannot be read (announcements, texts) is not checked: a correction does not depend on it.

    Args:
        kafka: where models are announced and texts are.
        messages: the corrections.
        new_labels: the labels that may be published though they are not known.
        all_new: publish every label that is not known, and print a remark of each.
        missing_texts: publish corrections of texts that are not there, and print a remark.

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
    search, complete = await _looked_for(kafka, messages)
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
    for line in (*problems, *notes):
        remark(line)
    if missing:
        remark(_not_found(missing, messages, kafka.topics.texts))


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
    labels: dict[bytes | None, ModelAnnounced] = {}
    signatures = reading_signatures(kafka)
    async for record in read_since(client_arguments(kafka), [kafka.topics.models], None):
        if signatures is not None and not signatures.accepts(record):
            continue
        labels.pop(record.key, None)
        try:
            announced = decode(record, ModelAnnounced).message if record.value else None
        except WireError:
            continue
        if announced is not None and announced.labels:
            labels[record.key] = announced
    by_task: dict[str, dict[str, Collection[str]]] = {}
    for each in labels.values():
        by_task.setdefault(each.task, {})[each.model] = frozenset(each.labels or ())
    return by_task


async def _looked_for(kafka: KafkaSettings, messages: Sequence[FeedbackGiven]) -> tuple[TextSearch, bool]:
    """Return the texts that were found in time, and whether all were read."""
    wanted = TextSearch({(each.text_source, each.text_id) for each in messages})
    with suppress(KafkaError, UserError, TimeoutError), read_progress("texts") as progress:
        async with asyncio.timeout(_LOOK_S):
            await find_texts(client_arguments(kafka), kafka.topics.texts, wanted, progress=progress)
        return wanted, True
    return wanted, False
