"""Ids: the published vectors hold, and what must differ differs."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat_contracts import Record, TextSubmitted, Traceparent, decode, ids

ROOT = Path(__file__).resolve().parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "contracts/schemas/test_vectors.json").read_text(encoding="utf-8"))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("vector", VECTORS["derived"], ids=lambda vector: vector["uuid"])
def test_a_published_vector_holds(vector: dict[str, str]) -> None:
    assert str(ids.derive(vector["stage"], vector["source"], vector["id"], vector["task"])) == vector["uuid"]
    assert str(uuid5(UUID(VECTORS["namespace"]), vector["name"])) == vector["uuid"]
    assert json.loads(vector["name"]) == [vector["stage"], vector["source"], vector["id"], vector["task"]]


def test_the_vectors_hold_what_other_languages_get_wrong() -> None:
    names = [vector["name"] for vector in VECTORS["derived"]]
    assert any(not name.isascii() for name in names)
    assert any('\\"' in name for name in names)
    assert any("\\u0000" in name for name in names)
    assert any("\\n" in name for name in names)
    assert any(vector["task"] == "" for vector in VECTORS["derived"])


def test_the_namespace_never_changes() -> None:
    assert VECTORS["namespace"] == str(ids.NAMESPACE) == "5b1c8a52-3f0e-5a36-9c3d-7a4e7d1f2b60"


@pytest.mark.parametrize("vector", VECTORS["plain_json"], ids=lambda vector: vector["topic"])
def test_the_identity_of_plain_json_is_where_it_stands(vector: dict[str, Any]) -> None:
    place = (vector["topic"], vector["partition"], vector["offset"], vector["timestamp_ms"])
    assert ids.plain_text_identity(*place) == (vector["source"], vector["id"])
    read = decode(Record(*place, None, b'{"text": "hi", "tasks": {"intent": {}}}'), TextSubmitted).envelope
    assert (read.source, read.id) == (vector["source"], vector["id"])


@pytest.mark.parametrize("vector", VECTORS["traceparent"], ids=lambda vector: vector["source"])
def test_a_text_without_a_trace_begins_the_published_one(vector: dict[str, str]) -> None:
    assert str(Traceparent.root(vector["source"], vector["id"])) == vector["traceparent"]
    version, trace, span, flags = vector["traceparent"].split("-")
    assert (version, trace, flags) == ("00", ids.derive(ids.TRACE, vector["source"], vector["id"]).hex, "01")
    assert span == trace[-16:]


@settings(max_examples=50)
@given(st.lists(st.tuples(words, words, words, words), min_size=2, max_size=2, unique=True))
def test_different_coordinates_give_different_ids(coordinates: list[tuple[str, str, str, str]]) -> None:
    first, second = coordinates
    assert ids.derive(*first) != ids.derive(*second)


@given(words, words)
def test_an_id_is_the_uuid5_of_the_name_as_the_standard_library_writes_it(source: str, id: str) -> None:
    name = json.dumps(["result", source, id, "intent"], ensure_ascii=False, separators=(",", ":"))
    assert ids.derive("result", source, id, "intent") == uuid5(ids.NAMESPACE, name)
