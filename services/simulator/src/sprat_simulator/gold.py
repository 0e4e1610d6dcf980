"""Right answers by text, written by people: for plain texts, and for the same texts with placeholders."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Gold = Mapping[str, Mapping[str, Any]]
"""Text → task → answer, as a model writes it under the task's schema; a translation under `translation=TARGET` where
the sample names the target. A string of a task from a file is a label or a text, as the question's schema says."""

_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_[0-9]+\]")


_EXPECTED: Mapping[str, str] = {
    "intent": 'a label, as "transfer", or null where none fits',
    "ner": 'a list of names, as [{"text": "Rome", "label": "LOC"}]',
    "translation": "the translation, a string",
}
_OF_OTHERS = (
    'a label, as "neutral", null where none fits, a list of labels where several may apply, the text of a task of kind '
    'text, or an object as a model answers, as {"label": "neutral"}'
)


def load_gold(path: Path) -> Gold:
    """Read a file of samples.

    Raises:
        ValueError: a line does not have the expected form; the message names file, line and field.
        OSError: the file cannot be read.
    """
    gold: dict[str, dict[str, Any]] = {}
    # Not splitlines(): JSON strings may contain U+2028 and other characters that it treats as line ends.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text, answers = _sample(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        gold.setdefault(text, {}).update(answers)
    return gold


def _sample(line: str) -> tuple[str, dict[str, Any]]:
    """Return the text of a line and its answers.

    Raises:
        ValueError: saying what is expected.
    """
    try:
        sample = json.loads(line)
        text, answers, tasks = sample["text"], sample["gold"], sample.get("tasks") or {}
    except (ValueError, TypeError, KeyError):
        answers = text = None
    if not (isinstance(text, str) and isinstance(answers, dict)):
        raise ValueError(  # noqa: TRY004 - of a file's content
            'not a line of {"text": "…", "gold": {TASK: ANSWER}}'
        )
    if not (isinstance(tasks, dict) and all(isinstance(each, dict) for each in tasks.values())):
        raise ValueError('tasks: expected an object, as {"mood": {}}; it may be left out')
    return text, {_key(task, tasks): _shaped(task, answer) for task, answer in answers.items()}


def _key(task: str, tasks: Mapping[str, Any]) -> str:
    target = tasks.get(task, {}).get("target")
    return task if target is None else f"{task}={target}"


def _shaped(task: str, answer: Any) -> Any:
    """Return the gold answer as a model writes it under its task's schema; a string of a task from a file as it is.

    Raises:
        ValueError: it cannot be an answer to this task.
    """
    if task == "ner" and _are(answer, {"text": str, "label": str}):
        return {"entities": [{"text": entity["text"], "label": entity["label"]} for entity in answer]}
    if task == "translation" and isinstance(answer, str):
        return {"text": answer}
    if task == "intent" and isinstance(answer, str | None):
        return {"label": answer}
    if task not in _EXPECTED:
        if answer is None:
            return {"label": None}
        if isinstance(answer, list) and all(isinstance(label, str) for label in answer):
            return {"labels": answer}
        if isinstance(answer, str) or _is_output(answer):
            return answer
    raise ValueError(f"gold.{task}: expected {_EXPECTED.get(task, _OF_OTHERS)}")


def _are(answer: Any, fields: Mapping[str, type]) -> bool:
    """Return whether it is a list of objects with these fields."""
    return isinstance(answer, list) and all(
        isinstance(each, dict) and all(isinstance(each.get(name), kind) for name, kind in fields.items())
        for each in answer
    )


def _is_output(answer: Any) -> bool:
    """Return whether it is an object that a model may write for a task from a file."""
    if not isinstance(answer, dict) or len(answer) != 1:
        return False
    ((name, value),) = answer.items()
    if name == "labels":
        return isinstance(value, list) and all(isinstance(label, str) for label in value)
    return (name == "label" and isinstance(value, str | None)) or (name == "content" and isinstance(value, str))


def answers_to(gold: Gold, text: str, target: str | None = None) -> Mapping[str, Any]:
    """Return the right answers by task; none where no sample or more than one fits the text.

    A translation is one into `target`, where both the question and the sample name theirs. A text with placeholders
    fits the sample that it was masked from; the answers are masked in the same way.
    """
    if text in gold:
        return _into(target, gold[text])
    if not (placeholders := list(dict.fromkeys(_PLACEHOLDER.findall(text)))):
        return {}
    pattern = _unmasked_pattern(text, placeholders)
    matches = [match for sample in gold if (match := pattern.fullmatch(sample)) is not None]
    if len(matches) != 1:
        return {}
    match = matches[0]
    values = {match[f"p{number}"]: placeholder for number, placeholder in enumerate(placeholders)}
    masked = {task: _masked(task, answer, values) for task, answer in _into(target, gold[match.string]).items()}
    # A translation without one of the placeholders could not be restored: whoever wrote it has translated that value.
    return {task: answer for task, answer in masked.items() if task != "translation" or _holds(answer, placeholders)}


def _holds(translation: Mapping[str, str], placeholders: list[str]) -> bool:
    return all(each in translation["text"] for each in placeholders)


def _into(target: str | None, answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answers by task alone, without translations into other languages."""
    pairs = [(*key.partition("=")[::2], answer) for key, answer in answers.items()]
    return {task: answer for task, into, answer in pairs if not (target and into) or target == into}


def _unmasked_pattern(text: str, placeholders: list[str]) -> re.Pattern[str]:
    """Return the pattern of the texts that this one may be masked from; one placeholder means one value."""
    seen: set[str] = set()
    pieces: list[str] = []
    for piece in re.split(f"({_PLACEHOLDER.pattern})", text):
        if piece not in placeholders:
            pieces.append(re.escape(piece))
            continue
        name = f"p{placeholders.index(piece)}"
        pieces.append(f"(?P={name})" if piece in seen else f"(?P<{name}>.+?)")
        seen.add(piece)
    return re.compile("".join(pieces), re.DOTALL)


def _masked(task: str, answer: Any, values: Mapping[str, str]) -> Any:
    """Return an answer with placeholders instead of values, as a model that saw only those would write it."""
    if task == "translation":
        return {"text": _replaced(answer["text"], values)}
    if task == "ner":
        entities = [one | {"text": _replaced(one["text"], values)} for one in answer["entities"]]
        # A model does not report placeholders as entities: the masked values are restored without it.
        return {"entities": [one for one in entities if not _PLACEHOLDER.search(one["text"])]}
    return answer


def _replaced(text: str, values: Mapping[str, str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, values[value])
    return text
