"""Right answers by text, written by people: for plain texts, and for the same texts with placeholders."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Gold = Mapping[str, Mapping[str, Any]]
"""Text → task → answer, as a model writes it under the task's schema; a translation under `translation=TARGET` where
the sample names the target."""

_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_[0-9]+\]")


def load_gold(path: Path) -> Gold:
    """Read a file of samples.

    Raises:
        ValueError: a line does not have the expected form; the message names file and line.
        OSError: the file cannot be read.
    """
    gold: dict[str, dict[str, Any]] = {}
    # Not splitlines(): JSON strings may contain U+2028 and other characters that it treats as line ends.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            tasks = sample.get("tasks") or {}
            answers = {_key(task, tasks): _shaped(task, answer) for task, answer in sample["gold"].items()}
            gold.setdefault(str(sample["text"]), {}).update(answers)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f'{path}:{number}: not a line of {{"text", "gold": {{task: answer}}}}') from None
    return gold


def _key(task: str, tasks: Mapping[str, Any]) -> str:
    target = tasks.get(task, {}).get("target")
    return task if target is None else f"{task}={target}"


def _shaped(task: str, answer: Any) -> Any:
    """Return the gold answer as a model writes it under the schema of its task."""
    if task == "intent":
        return {"label": answer}
    if task == "ner":
        return {"entities": [{"text": entity["text"], "label": entity["label"]} for entity in answer]}
    if task == "translation":
        return {"text": answer}
    return answer


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
