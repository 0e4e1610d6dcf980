"""Whatever stands in a record's unknown fields, the check of how deep they nest takes time linear in its length."""

import gc
from collections.abc import Callable
from time import process_time

import pytest

from sprat_contracts import Record
from sprat_contracts.texts import MAX_DEPTH, TextSubmitted
from sprat_contracts.wire import decode
from sprat_contracts.wire_errors import WireError

LARGE = 512 * 1024 - 200
MOST_S = 1.5
"""About eight times what the slowest takes."""


def later(value: str) -> bytes:
    return f'{{"text": "x", "tasks": {{"intent": {{}}}}, "later": {value}}}'.encode()


def rows(depth: int, size: int) -> str:
    row = "[" * depth + "]" * depth
    return "[" + ",".join([row] * (size // (len(row) + 1))) + "]"


def fields(size: int) -> bytes:
    return later("0" + "".join(f',"k{number}":[]' for number in range(size // 12)))


SHAPES: dict[str, Callable[[int], bytes]] = {
    "brackets without end": lambda size: later("[" * size),
    "as deep as allowed": lambda size: later(rows(MAX_DEPTH - 1, size)),
    "deeper": lambda size: later(rows(2 * MAX_DEPTH, size)),
    "flat": lambda size: later(rows(1, size)),
    "a field each": fields,
}


def seconds(value: bytes) -> float:
    gc.disable()  # its rounds grow with what lives in the process, whatever is measured here
    began = process_time()
    try:
        decode(Record("texts", 0, 0, 0, None, value), TextSubmitted)
    except WireError:
        pass
    finally:
        spent = process_time() - began
        gc.enable()
    return spent


@pytest.mark.parametrize("shape", SHAPES)
def test_time_is_linear_in_the_brackets(shape: str) -> None:
    half, whole = (SHAPES[shape](size) for size in (LARGE // 2, LARGE))
    assert len(whole) <= 512 * 1024
    halves, wholes = (min(seconds(value) for _ in range(4)) for value in (half, whole))
    assert wholes < 3 * halves + 0.02
    assert wholes < MOST_S


@pytest.mark.parametrize("innermost", ["1", "[]", "{}"])
def test_an_empty_level_counts(innermost: str) -> None:
    levels = MAX_DEPTH if innermost == "1" else MAX_DEPTH - 1
    decode(Record("texts", 0, 0, 0, None, later("[" * levels + innermost + "]" * levels)), TextSubmitted)
    with pytest.raises(WireError, match="64 levels"):
        decode(
            Record("texts", 0, 0, 0, None, later("[" * (levels + 1) + innermost + "]" * (levels + 1))), TextSubmitted
        )


def test_a_hundred_thousand_fields_cost_no_more_than_as_many_values() -> None:
    """Each field was searched by itself, 64 levels deep: 0.3 s for 256 KiB."""
    apart, together = fields(LARGE // 2), later("[" + "[]," * (LARGE // 12) + "[]]")
    assert min(seconds(apart) for _ in range(3)) < 8 * min(seconds(together) for _ in range(3)) + 0.005
