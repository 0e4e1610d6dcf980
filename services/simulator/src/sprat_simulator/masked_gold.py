"""Right answers to masked texts: a text with placeholders is the sample that it fits, its answers masked alike."""

import re
from collections.abc import Mapping
from typing import Any

from sprat_simulator.gold import Gold

_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_[0-9]+\]")


def answers_to(gold: Gold, text: str) -> Mapping[str, Any]:
    """Give the right answers to a text, by task; none where no sample is that text, or more than one fits."""
    if text in gold:
        return gold[text]
    if not (placeholders := list(dict.fromkeys(_PLACEHOLDER.findall(text)))):
        return {}
    form = _form(text, placeholders)
    fitting = [(sample, found) for sample in gold if (found := form.fullmatch(sample)) is not None]
    if len(fitting) != 1:
        return {}
    sample, found = fitting[0]
    values = {found[f"p{number}"]: placeholder for number, placeholder in enumerate(placeholders)}
    return {task: _masked(task, answer, values) for task, answer in gold[sample].items()}


def _form(text: str, placeholders: list[str]) -> re.Pattern[str]:
    """Give the pattern of the texts that look so once they are masked; one placeholder stands for one value."""
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
    """Give an answer with the placeholders for the values, as a model that saw only those would write it."""
    if task == "translation":
        return {"text": _replaced(answer["text"], values)}
    if task == "ner":
        entities = [one | {"text": _replaced(one["text"], values)} for one in answer["entities"]]
        # A placeholder is nothing that a model finds: what was masked comes back by itself.
        return {"entities": [one for one in entities if not _PLACEHOLDER.search(one["text"])]}
    return answer


def _replaced(text: str, values: Mapping[str, str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, values[value])
    return text
