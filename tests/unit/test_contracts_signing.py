"""Signatures of texts: the published vectors hold, and a signature is for one text and one key alone."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_contracts import SIGNATURE_HEADER, Record, TextSubmitted, decode, sign
from sprat_contracts.signing import signature_of

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED: dict[str, Any] = json.loads((ROOT / "contracts/schemas/test_vectors.json").read_text("utf-8"))["signatures"]
KEY = b"k" * 32
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("vector", PUBLISHED["signed"], ids=range(len(PUBLISHED["signed"])))
def test_a_published_vector_holds(vector: dict[str, str]) -> None:
    key, *names, value, expected = (vector[name].encode() for name in vector)
    assert sign(key, *(name.decode() for name in names), value) == expected
    told = b"sprat text signature 1" + b"".join(hashlib.sha256(part).digest() for part in (*names, value))
    assert len(told) == 150
    assert expected == b"v1=" + hmac.new(key, told, hashlib.sha256).hexdigest().encode()


def test_the_vectors_hold_what_other_languages_get_wrong() -> None:
    signed = PUBLISHED["signed"]
    assert any(not vector["tenant"].isascii() and not vector["id"].isascii() for vector in signed)
    assert any(not vector["key"].isascii() for vector in signed)
    assert any(vector["value"] == "" for vector in signed)
    assert any(vector["tenant"] == "default" for vector in signed)
    assert len({vector["signature"] for vector in signed}) == len(signed)


@settings(max_examples=50)
@given(st.lists(st.tuples(words, words, words, words), min_size=2, max_size=2, unique=True))
def test_different_texts_have_different_signatures(texts: list[tuple[str, str, str, str]]) -> None:
    first, second = (sign(KEY, *names, value.encode()) for *names, value in texts)
    assert first != second


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="the key has 31 bytes; a signature needs at least 32"):
        sign(b"k" * 31, "acme", "/crm", "1", b"{}")


def test_a_signature_is_verified_from_the_digest_of_the_value_alone() -> None:
    header = sign(KEY, "acme", "/crm", "1", b"{}").decode()
    signature = signature_of(header, b"{}")
    assert signature is not None
    assert signature.is_by([b"o" * 32, KEY], "acme", "/crm", "1")
    assert not signature.is_by([b"o" * 32], "acme", "/crm", "1")
    assert not signature.is_by([], "acme", "/crm", "1")
    for other in (("acme2", "/crm", "1"), ("acme", "/crm/", "1"), ("acme", "/crm", "2"), ("acme/", "crm", "1")):
        assert not signature.is_by([KEY], *other)
    moved = signature_of(header, b"{ }")
    assert moved is not None
    assert not moved.is_by([KEY], "acme", "/crm", "1")


@pytest.mark.parametrize("header", [None, "", "v1=" + "0" * 300, "v1 =0", "ü" * 64, "v1=0\n"], ids=range(6))
def test_what_cannot_be_a_signature_is_none(header: str | None) -> None:
    assert signature_of(header, b"{}") is None


def test_a_text_is_read_with_its_signature_and_only_a_text_that_has_one() -> None:
    value = b'{"text": "hi", "tasks": {"intent": {}}}'
    place = ("sprat.texts.v1", 0, 1, 2, None, value)
    signature = b"v2=later"
    read = decode(Record(*place, [(SIGNATURE_HEADER, signature)]), TextSubmitted).envelope.signature
    assert read is not None
    assert (read.signature, read.value_sha256) == ("v2=later", hashlib.sha256(value).hexdigest())
    assert decode(Record(*place), TextSubmitted).envelope.signature is None
