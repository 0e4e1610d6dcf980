"""From the model's JSON to the contract's output: parsed, checked against the question, with computed offsets."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sprat_contracts import (
    Entity,
    IntentOutput,
    LabelsOutput,
    NerOutput,
    Output,
    ScoredLabel,
    TextOutput,
    TranslationOutput,
)
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.responses import read_json
from sprat_policy.task_files import MAX_LABELS

_URL = re.compile(
    r"""(?i:[a-z][a-z0-9+.-]{0,30}+:/|www\.|//(?=[^\s/]*\.)|\b(?:mailto|tel|data|javascript|vbscript):)\S+
    |(?<![\w-])(?<![\w-]\.)[\w-]++(?:\.[\w-]++)*\.[^\W\d_][\w-]*+[/?\#:]\S+
    |[0-9]{1,3}(?:\.[0-9]{1,3}){3}[/?\#:]\S+
    |(?<![\w-])(?<![\w-]\.)[\w-]++(?:\.[\w-]++)*\.(?:[a-z]{2,24}|[A-Z]{2,24})(?![\w-])""",
    re.VERBOSE,
)
"""What mail and chat programs make links of: with a scheme, with a path, or a host name alone. Two words with a full
stop and no space between look like a host name only if the second has no capital. In linear time: a host name begins
where no letter is before it, and no part is read twice."""
_OTHER_DOTS = re.compile("(?<=[A-Za-z0-9])[\u3002\uff61](?=[A-Za-z])")
"""Ideographic full stops that a browser reads as a dot."""
_URL_END = ".,;:!?)]}>'\"»”’*_"
_PIECE = re.compile(r"\S{1,256}")
"""Normalised by itself: for a run of combining marks, that takes the square of its length."""
_LONGER = 8
"""Times as long as its text, a translation is none: Chinese characters take up to five letters each."""
_LONGER_BY = 1024
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
MAX_ENTITIES = 1000
"""The contract's limit."""
MAX_MENTIONS = 2 * MAX_ENTITIES
"""In one answer. Each may take a look at every examined occurrence; an answer with more is refused."""
_MAX_OCCURRENCES = 200
"""Occurrences of one mention that are examined: a text of 20,000 equal letters must not take minutes."""


class InvalidAnswerError(ValueError):
    """The model's output is no answer to the question. The message says why, without quoting it."""


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class _Intent(_Written):
    label: str | None


class _Labels(_Written):
    labels: Annotated[list[str], Field(max_length=MAX_LABELS, fail_fast=True)]


class _Entity(_Written):
    text: str
    label: str


class _Ner(_Written):
    entities: Annotated[list[_Entity], Field(max_length=MAX_MENTIONS, fail_fast=True)]


class _Translation(_Written):
    text: str


class _Text(_Written):
    content: str


def parse(question: FrontierQuestion, content: str) -> Output:
    """Return the output that the model's JSON describes.

    Raises:
        InvalidAnswerError: it is not JSON, not of the schema, or not possible for this question.
    """
    problem = "it is not JSON"
    try:
        written = read_json(content.encode())
        problem = "it is not of the schema"
        if question.output is IntentOutput:
            output: Output = IntentOutput(label=_Intent.model_validate(written).label)
        elif question.output is LabelsOutput:
            named = dict.fromkeys(_Labels.model_validate(written).labels)  # without repetitions
            output = LabelsOutput(labels=tuple(ScoredLabel(label=label) for label in named))
        elif question.output is NerOutput:
            output = _entities(question.text, _Ner.model_validate(written))
        elif question.output is TextOutput:
            output = TextOutput(content=_Text.model_validate(written).content)
        else:
            text = _Translation.model_validate(written).text
            output = TranslationOutput(text=text, target=question.target or "")
        check(question, output)
    except InvalidAnswerError:
        raise
    except ValueError:  # its text and its context may quote the answer
        pass
    else:
        return output
    raise InvalidAnswerError(problem)


def check(question: FrontierQuestion, output: Output) -> None:
    """Check that an output is possible for the question; stored answers are checked as well.

    Raises:
        InvalidAnswerError: it is not.
    """
    if question.output is IntentOutput:
        if not isinstance(output, IntentOutput) or not (output.label is None or output.label in question.labels):
            raise InvalidAnswerError("the label is not among those asked for")
    elif question.output is LabelsOutput:
        _check_labels(question, output)
    elif question.output is NerOutput:
        _check_entities(question, output)
    elif question.output is TextOutput:
        _check_text(question, output)
    elif not isinstance(output, TranslationOutput) or output.target != question.target or not output.text.strip():
        raise InvalidAnswerError("there is no translation into the target language")
    elif len(output.text) > _LONGER * len(question.text) + _LONGER_BY:
        raise InvalidAnswerError("the translation is far longer than the text")
    elif _paragraphs(output.text) != _paragraphs(question.text):
        raise InvalidAnswerError("the translation's paragraphs differ from the text's")
    elif not _urls(output.text) <= _urls(question.text):
        # Also a URL of the text with a placeholder added: it would send the restored value to whoever owns the host.
        raise InvalidAnswerError("the translation holds a URL that the text does not hold")


def _check_labels(question: FrontierQuestion, output: Output) -> None:
    if not isinstance(output, LabelsOutput):
        raise InvalidAnswerError("there is no list of labels")
    if not {each.label for each in output.labels} <= {*question.labels}:
        raise InvalidAnswerError("a label is not among those asked for")


def _check_text(question: FrontierQuestion, output: Output) -> None:
    if not isinstance(output, TextOutput) or not output.content.strip():
        raise InvalidAnswerError("there is no text")
    if question.file is None or len(output.content) > question.file.max_characters:
        raise InvalidAnswerError("the text is longer than the task's file allows")
    if not _urls(output.content) <= _urls(question.text):
        # As in a translation: a URL with a placeholder would send the restored value to whoever owns the host.
        raise InvalidAnswerError("the text holds a URL that the question does not hold")


def _check_entities(question: FrontierQuestion, output: Output) -> None:
    if not isinstance(output, NerOutput):
        raise InvalidAnswerError("there is no list of entities")
    for entity in output.entities:
        if question.text[entity.start : entity.end] != entity.text or entity.label not in question.labels:
            raise InvalidAnswerError("an entity is not in the text or its label was not asked for")


def _entities(text: str, written: _Ner) -> NerOutput:
    """Locate the mentions; those that are not in the text are left out, unless none is."""
    output = locate(text, [Mention(entity.text, entity.label) for entity in written.entities])
    if written.entities and not output.entities:
        raise InvalidAnswerError("none of the entities is in the text")
    return output


def _paragraphs(text: str) -> int:
    return len(_PARAGRAPHS.split(text.strip()))


def _urls(text: str) -> set[str]:
    """Return what is a URL in the text, without punctuation at its end."""
    normal = _PIECE.sub(lambda piece: unicodedata.normalize("NFKC", piece[0]), text)
    plain = _OTHER_DOTS.sub(".", normal)
    return {found[0].rstrip(_URL_END) for found in _URL.finditer(plain)}


@dataclass(frozen=True, slots=True)
class Mention:
    """A string that the model copied, and its label."""

    text: str
    label: str


def locate(text: str, mentions: Sequence[Mention]) -> NerOutput:
    """Find each mention in the text, in order, without overlaps; mentions that are not in the text are left out.

    The search begins after the previous mention, then at the start of the text. It prefers whole words and accepts
    other matches, because not every script puts spaces between words.
    """
    found: list[Entity] = []
    taken = bytearray(len(text))
    cursor = 0
    for mention in mentions:
        if len(found) > MAX_ENTITIES:
            break
        wanted = mention.text.strip()
        start = _find(text, wanted, cursor, taken) if wanted else None
        if start is None:
            continue
        cursor = start + len(wanted)
        taken[start:cursor] = b"\x01" * len(wanted)
        found.append(Entity(start=start, end=cursor, text=wanted, label=mention.label))
    found.sort(key=lambda entity: entity.start)
    return NerOutput(entities=tuple(found[:MAX_ENTITIES]), truncated=len(found) > MAX_ENTITIES)


def _find(text: str, wanted: str, cursor: int, taken: bytearray) -> int | None:
    anywhere: int | None = None
    for origin in (cursor, 0):
        for start in islice(_occurrences(text, wanted, origin), _MAX_OCCURRENCES):
            if taken.find(1, start, start + len(wanted)) >= 0:
                continue
            if _is_whole_word(text, start, start + len(wanted)):
                return start
            if anywhere is None:
                anywhere = start
    return anywhere


def _occurrences(text: str, wanted: str, origin: int) -> Iterator[int]:
    start = text.find(wanted, origin)
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)


def _is_whole_word(text: str, start: int, end: int) -> bool:
    """Return whether no letter or digit outside the span touches a letter or digit inside it."""
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not (before or after)
