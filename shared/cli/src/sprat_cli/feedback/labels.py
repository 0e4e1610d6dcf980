"""Check corrected intents against the announced labels: a misspelt label would be trained as a new one."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

from aiokafka.errors import KafkaConnectionError, KafkaError

from sprat.errors import UserError
from sprat.kafka.clients import client_arguments
from sprat.settings import KafkaSettings
from sprat_cli.connection import reading_signatures
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable, remark
from sprat_contracts import FeedbackGiven, IntentOutput, ModelAnnounced, WireError, decode
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import TextSearch, find_texts, requested_model
from sprat_operations.topic_reader import read_since

Known = Mapping[str, Collection[str]]
"""Model → its intents."""

_TASK: Final = "intent"
_LOOK_S: Final = 10.0
"""Stop looking for texts after this time: a correction must not wait for a remark."""


async def remark_unknown_labels(kafka: KafkaSettings, messages: Sequence[FeedbackGiven]) -> None:
    """Print a remark for each intent that the requested model, or every model, does not know.

    If the announcements cannot be read, print nothing: a correction does not depend on them.
    """
    if not any(map(_label, messages)):
        return
    try:
        known = await _announced_labels(kafka)
    except KafkaConnectionError:
        raise
    except (KafkaError, UserError, TimeoutError):
        return
    for line in remarks(messages, known, await _models_asked(kafka, in_doubt(messages, known))):
        remark(line)


def in_doubt(messages: Sequence[FeedbackGiven], known: Known) -> list[FeedbackGiven]:
    """Return those whose label only some models know: the text says which model it asked for."""
    return [each for each in messages if 0 < sum(_label(each) in labels for labels in known.values()) < len(known)]


def remarks(messages: Sequence[FeedbackGiven], known: Known, asked: Mapping[Identity, str]) -> list[str]:
    """Return a line for each label that its model does not know; `asked` maps texts that were found to their models."""
    every = {label for labels in known.values() for label in labels}
    if not every:
        return []
    labels = {label for each in messages if (label := _label(each)) is not None}
    unknown = sorted(labels - every)
    lines = [f"no announced model knows the intent {printable(each, 60)}{_near(each, every)}" for each in unknown]
    doubtful = [(asked.get((each.text_source, each.text_id)), _label(each) or "") for each in in_doubt(messages, known)]
    judged = [(model, label) for model, label in doubtful if model is not None and model in known]
    wrong = Counter((model, label) for model, label in judged if label not in known[model])
    for (model, label), count in wrong.items():
        texts = "1 text asks for" if count == 1 else f"{count:,} texts ask for"
        others = [name for name in known if label in known[name]]
        do = f"{', '.join(others)} {'does' if len(others) == 1 else 'do'}"
        lines.append(f"the model {model}, which {texts}, does not know the intent {printable(label, 60)}; {do}")
    if unchecked := len(doubtful) - len(judged):
        which = "1 label was" if unchecked == 1 else f"{unchecked:,} labels were"
        why = "the text was not found, or asks for a model that announces no labels"
        lines.append(f"{which} checked against all models together: {why}")
    return lines


def _label(message: FeedbackGiven) -> str | None:
    return message.output.label if isinstance(message.output, IntentOutput) else None


def _near(label: str, known: Collection[str]) -> str:
    near = get_close_matches(label, known, 1)
    return f"; did you mean {printable(near[0], 60)}?" if near else ""


async def _announced_labels(kafka: KafkaSettings) -> dict[str, Collection[str]]:
    """Return the labels of the intent models that are announced, without those that announce none."""
    labels: dict[bytes | None, tuple[str, Collection[str]]] = {}
    signatures = reading_signatures()
    async for record in read_since(client_arguments(kafka), [kafka.topics.models], None):
        if signatures is not None and not signatures.accepts(record):
            continue
        labels.pop(record.key, None)
        try:
            announced = decode(record, ModelAnnounced).message if record.value else None
        except WireError:
            continue
        if announced is not None and announced.task == _TASK and announced.labels:
            labels[record.key] = announced.model, frozenset(announced.labels)
    return dict(labels.values())


async def _models_asked(kafka: KafkaSettings, messages: Sequence[FeedbackGiven]) -> dict[Identity, str]:
    """Return the models that the texts ask for, of those that are found in time."""
    wanted = TextSearch({(each.text_source, each.text_id) for each in messages})
    if wanted.missing:
        with suppress(KafkaError, UserError, TimeoutError), read_progress("texts") as progress:
            async with asyncio.timeout(_LOOK_S):
                await find_texts(client_arguments(kafka), kafka.topics.texts, wanted, progress=progress)
    return {identity: requested_model(found.text, _TASK) for identity, found in wanted.found.items()}
