"""Texts with labels, from the files that people have: CSV, TSV, JSON Lines. Errors say row, column and what to do."""

from sprat.labelled.columns import Wanted
from sprat.labelled.labels import counted, key_of
from sprat.labelled.reading import read_labelled, read_texts
from sprat.labelled.rows import Labelled

__all__ = ["Labelled", "Wanted", "counted", "key_of", "read_labelled", "read_texts"]
