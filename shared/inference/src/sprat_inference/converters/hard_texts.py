"""Texts on which tokenizers have failed, tried before a model of others is served.

A failure in a native library is a panic there and a BaseException here: `except Exception` does not see it.
"""

import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sprat.base.errors import UserError
from sprat_inference.tokenizer import replace_surrogates

LONGEST: Final = 20_000
"""Code points of the longest text that the contract allows."""
_RUN: Final = 1_000
_LONG: Final = ("a", " ", "0", "\n", "中", "😀")
_REPEATED: Final = (
    "ß",
    "é",
    "e\u0301",
    "ﬃ",
    "ﷺ",
    "한",
    "中",
    "क्ष",
    "\u200d",
    "\ufeff",
    "\u00a0",
    "ab",
    "a b",
    "[SEP]",
    "</s>",
)
_EMOJI: Final = ("😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "1️⃣")


def hard_texts() -> Iterator[tuple[str, str]]:
    """Yield each text with what it is."""
    yield "an empty text", ""
    for characters in (*string.printable, *_REPEATED):
        yield f"a long run of {characters!a}", characters * _RUN
    for character in _LONG:
        yield f"{LONGEST:,} times {character!a}", character * LONGEST
    for characters in _EMOJI:
        yield f"emoji ({characters!a})", f"{characters} and {characters * 1_000}"
    yield "lone surrogates, replaced", replace_surrogates("a\ud83d b\ude00 \udfff" * 1_000)
    yield "control characters", "".join(map(chr, range(0x20))) * 100
    yield f"a text of {LONGEST:,} characters", ("Where is my order 4711? Wo ist sie? " * LONGEST)[:LONGEST]


def check_hard_texts(folder: Path, encode: Callable[[list[str]], Any]) -> None:
    """Encode each of :func:`hard_texts` as a service does.

    Args:
        folder: of the model, for the message.
        encode: makes tokens of texts.

    Raises:
        UserError: the tokenizer fails on one.
    """
    for name, text in hard_texts():
        failed = f"{folder}: its tokenizer fails on {name}, as it would in a service; take another model"
        try:
            with panics_refused(failed):
                encode([text])
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tokenizer raises, a service would meet it
            raise UserError(f"{failed} ({type(error).__name__})") from None


@contextmanager
def panics_refused(message: str) -> Iterator[None]:
    """Raise UserError with this message in place of a panic of a native library."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - pyo3 names no class for it
        raise UserError(f"{message} ({type(error).__name__})") from None
