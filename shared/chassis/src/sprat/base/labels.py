"""What a label may be, in the files of tasks as in those that are trained from."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

MAX_LABEL: Final = 200
SPREADSHEET_ERRORS: Final = frozenset(
    {"#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
FORMULA_STARTS: Final = ("=", "+", "-", "@")


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
