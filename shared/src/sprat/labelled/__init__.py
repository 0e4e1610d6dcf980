"""Texts with labels, from the files that people have: CSV, TSV, JSON Lines. Errors say row, column and what to do."""

from sprat.labelled.beside import as_named, column_beside
from sprat.labelled.columns import Wanted
from sprat.labelled.json_lines import JSON_SUFFIXES
from sprat.labelled.labels import alike, counted, group_of, key_of, may_be_texts
from sprat.labelled.reading import read_labelled, read_texts
from sprat.labelled.rows import Labelled

__all__ = [
    "JSON_SUFFIXES",
    "Labelled",
    "Wanted",
    "alike",
    "as_named",
    "column_beside",
    "counted",
    "group_of",
    "key_of",
    "may_be_texts",
    "read_labelled",
    "read_texts",
]
