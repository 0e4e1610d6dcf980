"""Shapes that are too many to list."""

from itertools import product
from typing import Final

_PLACES = "AAAAAA{}{}A{}{}A{}{}{}A"

CODICE_FISCALE: Final = tuple(_PLACES.format(*choice) for choice in product("9A", repeat=7))
"""An Italian fiscal code; where two people's were the same, letters stand for some of its digits (omocodia)."""
