"""Is a cell a text or a label that can be learnt from? What a spreadsheet made of one is told apart here."""

import unicodedata
from typing import Final

from sprat.labelled.rows import MAX_LABEL, MAX_TEXT

_ERRORS: Final = frozenset(
    {"#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#N/A", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
_FORMULA: Final = ("=", "+", "-", "@")


def text_problem(text: str, *, table: bool = True) -> str | None:
    """Say what is wrong with a text, or nothing. `table`: a spreadsheet may have written the file, formulas too."""
    stripped = text.strip()
    if not stripped:
        return "empty; write the text, or delete the row"
    if wrong := _damaged(text):
        return wrong
    if len(text) > MAX_TEXT:
        return f"{len(text):,} characters, at most {MAX_TEXT:,} are read; shorten it (is a quote left open above?)"
    if stripped in _ERRORS:
        return f"{stripped} is what a spreadsheet shows of a formula that failed; write the text itself"
    if table and stripped[0] == "=" and len(stripped) > 1 and stripped[1] != " ":
        return "a spreadsheet formula: what it would show is not in the file; save values instead of formulas"
    return None


def _damaged(text: str) -> str | None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a character (a lone surrogate); save the file again from where it came"
    if "\0" in text:
        return "holds a NUL character; is it a text file? Remove it"
    return None


def label_problem(label: str) -> str | None:
    """Say what is wrong with a label, or nothing."""
    if not label:
        return "empty; write the label, or delete the row"
    if len(label) > MAX_LABEL:
        return f"{len(label):,} characters, at most {MAX_LABEL} make a label; is it the right column?"
    if label in _ERRORS or label[0] in _FORMULA:
        return (
            "begins as a spreadsheet formula does; labels travel into results, and whoever opens those in a "
            "spreadsheet would run it; rename the label"
        )
    if any(unicodedata.category(character) == "Cc" for character in label):
        return "holds a control character or a line end; is a quote missing above? Remove it"
    return None


def for_spreadsheets(cell: str) -> str:
    """Give a cell for a file that people open in a spreadsheet: one that would be run as a formula is made a text."""
    return f"'{cell}" if cell[:1] in (*_FORMULA, "\t", "\r") else cell
