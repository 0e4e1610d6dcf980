"""What a label may be, in the files of tasks as in those that are trained from, and which ones a text may ask for."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Final

from sprat_contracts import Declined, ReasonCode

MAX_LABEL: Final = 200
SPREADSHEET_ERRORS: Final = frozenset(
    {"#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
FORMULA_STARTS: Final = ("=", "+", "-", "@")
_COMPARED: Final = 256
"""Labels with which an unknown one is compared: a text may ask for a thousand, and each comparison takes time."""


def label_problem(label: str) -> str | None:
    """Return what is wrong with a label; None where nothing is."""
    if not label:
        return "empty; write the label, or delete the row"
    if len(label) > MAX_LABEL:
        return f"{len(label):,} characters, a label has at most {MAX_LABEL}; is it the right column?"
    if label in SPREADSHEET_ERRORS or label[0] in FORMULA_STARTS:
        return (
            "begins like a spreadsheet formula; labels are copied into results, and a spreadsheet that opens those "
            "would run it; rename the label"
        )
    if any(unicodedata.category(character) == "Cc" for character in label):
        return "holds a control character or a line end; is a quote missing above? Remove it"
    return None


def look_alike(labels: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each label with an earlier one that is the same in Unicode's compatibility form (NFKC).

    They are two answers to a model and one to a person, as `file` is with a ligature and without.
    """
    seen: dict[str, str] = {}
    for label in labels:
        form = unicodedata.normalize("NFKC", label)
        if form in seen:
            yield label, seen[form]
        seen.setdefault(form, label)


def refuse_asked(task: str, asked: Sequence[str], known: Iterable[str] | None) -> Declined | None:
    """Return why nobody answers a text that asks for these labels; None where all are known. It quotes none of them.

    Args:
        task: that the text asks for.
        asked: the labels to choose from.
        known: those of the task's model; None: the answer to the task is no label.
    """
    where = f"tasks.{task}.labels"
    if known is None:
        return Declined(code=ReasonCode.LABELS, detail=f"{where}: the answer to this task is no label; leave them out")
    own = dict.fromkeys(known)
    unknown = [place for place, label in enumerate(asked) if label not in own]
    if not unknown:
        return None
    first = asked[unknown[0]]
    near = get_close_matches(first, islice(own, _COMPARED), n=1) if len(first) <= MAX_LABEL else []
    hint = f"did you mean {near[0]}?" if near else f"ask for some of its {len(own)} labels, or for none to get any"
    first_of = f"the first is no. {unknown[0] + 1} in the list"
    detail = f"{where}: {len(unknown)} of {len(asked)} are no labels of the model, {first_of}; {hint}"
    return Declined(code=ReasonCode.LABELS, detail=detail)
