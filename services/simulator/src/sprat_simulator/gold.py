"""Right answers by text: what people said, so that a simulated model can be right at a stated rate."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Gold = Mapping[str, Mapping[str, Any]]
"""Text → task → answer: intent → label or None; ner → [{"text", "label", …}]; translation → text."""


def load_gold(path: Path) -> Gold:
    """Read a file of samples.

    Raises:
        ValueError: a line is not of the form; the message names file and line.
        OSError: the file cannot be read.
    """
    gold: dict[str, dict[str, Any]] = {}
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line ends.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            answers = {task: _shaped(task, answer) for task, answer in sample["gold"].items()}
            gold.setdefault(str(sample["text"]), {}).update(answers)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f'{path}:{number}: not a line of {{"text", "gold": {{task: answer}}}}') from None
    return gold


def _shaped(task: str, answer: Any) -> Any:
    """Give the gold answer as a model writes it under the schema of its task."""
    if task == "intent":
        return {"label": answer}
    if task == "ner":
        return {"entities": [{"text": entity["text"], "label": entity["label"]} for entity in answer]}
    if task == "translation":
        return {"text": answer}
    return answer
