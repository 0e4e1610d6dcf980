"""Which changes of a message break a program written for a released version, and which do not."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from contracts.generators.compatibility import BOTH, READERS, WRITERS, breaks


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Label(Open):
    label: str


class Span(Open):
    start: int
    label: str


class Translated(Open):
    text: str
    target: str


def a_field(kind: Any, default: Any = ...) -> dict[str, Any]:
    """Return the schema of a message with that field."""
    return create_model("M", __base__=Open, field=(kind, default)).model_json_schema()


def fields(**kinds: Any) -> dict[str, Any]:
    return create_model("M", __base__=Open, **kinds).model_json_schema()


def at_most(limit: int, kind: Any = str) -> Any:
    return Annotated[kind, Field(max_length=limit)]


class MandatoryMore(Open):
    label: str
    more: int


class OptionalMore(Open):
    label: str
    more: int = 0


class OptionalLabel(Open):
    label: str = ""


class Retyped(Open):
    label: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str


BREAKS = [
    pytest.param(fields(a=(str, ...), b=(int, 0)), fields(a=(str, ...)), "$.b: removed", READERS, id="field removed"),
    pytest.param(fields(a=(int, 0)), fields(b=(int, 0)), "$.a: removed", READERS, id="field renamed"),
    pytest.param(a_field(int), a_field(str), "$.field: integer became string", BOTH, id="retyped"),
    pytest.param(a_field(int), a_field(float), "$.field: integer became number", BOTH, id="integer to number"),
    pytest.param(a_field(str), a_field(list[str]), "$.field: string became array", BOTH, id="one to many"),
    pytest.param(a_field(str), a_field(Label), "$.field: string became object with label", BOTH, id="word to object"),
    pytest.param(a_field(int, 0), a_field(int), "$.field: made mandatory", WRITERS, id="made mandatory"),
    pytest.param(
        fields(a=(str, ...)), fields(a=(str, ...), b=(int, ...)), "$.b: made", WRITERS, id="new and mandatory"
    ),
    pytest.param(a_field(int), a_field(int, 0), "$.field: no longer mandatory", READERS, id="no longer mandatory"),
    pytest.param(a_field(int | None), a_field(int), "$.field: null taken away", WRITERS, id="nullable no more"),
    pytest.param(a_field(int), a_field(int | None), "$.field: null added", READERS, id="made nullable"),
    pytest.param(
        a_field(Label | None), a_field(Label), "$.field: null taken away", WRITERS, id="nullable part no more"
    ),
    pytest.param(a_field(Any), a_field(str), "$.field: any value became string", BOTH, id="anything to something"),
    pytest.param(
        a_field(Literal["a", "b"]), a_field(Literal["a"]), "$.field: value 'b' taken away", WRITERS, id="narrowed enum"
    ),
    pytest.param(
        a_field(Literal["a", "b"]),
        a_field(Literal["a", "b", "c"]),
        "$.field: value 'c' added",
        READERS,
        id="wider enum",
    ),
    pytest.param(a_field(Literal["a", "b"]), a_field(str), "$.field: any value now", READERS, id="list opened"),
    pytest.param(a_field(str), a_field(Literal["a", "b"]), "$.field: listed values only", WRITERS, id="list closed"),
    pytest.param(a_field(at_most(9)), a_field(at_most(8)), "$.field: maxLength 9 became 8", WRITERS, id="shorter"),
    pytest.param(a_field(at_most(9)), a_field(at_most(10)), "$.field: maxLength 9 became 10", READERS, id="longer"),
    pytest.param(a_field(at_most(9)), a_field(str), "$.field: maxLength 9 became None", READERS, id="limit gone"),
    pytest.param(a_field(str), a_field(at_most(9)), "$.field: maxLength None became 9", WRITERS, id="limit set"),
    pytest.param(
        a_field(Annotated[int, Field(ge=0)]),
        a_field(Annotated[int, Field(ge=1)]),
        "$.field: minimum 0 became 1",
        WRITERS,
        id="higher minimum",
    ),
    pytest.param(
        a_field(Annotated[int, Field(ge=0)]),
        a_field(Annotated[int, Field(ge=-1)]),
        "$.field: minimum 0 became -1",
        READERS,
        id="lower minimum",
    ),
    pytest.param(
        a_field(Annotated[str, Field(pattern="^a$")]),
        a_field(Annotated[str, Field(pattern="^b$")]),
        "$.field: pattern '^a$' became '^b$'",
        BOTH,
        id="another pattern",
    ),
    pytest.param(
        a_field(at_most(9, list[int])),
        a_field(at_most(8, list[int])),
        "$.field: maxItems 9 became 8",
        WRITERS,
        id="shorter list",
    ),
    pytest.param(a_field(list[int]), a_field(list[str]), "$.field[]: integer became string", BOTH, id="retyped items"),
    pytest.param(
        a_field(dict[str, int]), a_field(dict[str, str]), "$.field.*: integer became string", BOTH, id="retyped values"
    ),
    pytest.param(
        a_field(str, "en"), a_field(str, "de"), "$.field: default 'en' became 'de'", BOTH, id="another default"
    ),
    pytest.param(a_field(Label), a_field(Retyped), "$.field.label: string became integer", BOTH, id="inside a part"),
    pytest.param(
        a_field(list[Label]), a_field(list[MandatoryMore]), "$.field[].more: made mandatory", WRITERS, id="inside items"
    ),
    pytest.param(
        a_field(Label | None), a_field(MandatoryMore | None), "$.field.more: made", WRITERS, id="inside a nullable part"
    ),
    pytest.param(
        a_field(Label | None), a_field(OptionalLabel | None), "$.field.label: no longer", READERS, id="optional inside"
    ),
    pytest.param(a_field(Label), a_field(Closed), "$.field.*: any value became nothing", BOTH, id="closed to the new"),
    pytest.param(
        a_field(Label | Translated),
        a_field(Label),
        "$.field: object with text, target taken away",
        WRITERS,
        id="an output less",
    ),
    pytest.param(
        a_field(Label),
        a_field(Label | Translated),
        "$.field: object with text, target added",
        READERS,
        id="a new output",
    ),
]


@pytest.mark.parametrize(("released", "current", "told", "whom"), BREAKS)
def test_a_break_is_found_and_told(released: dict[str, Any], current: dict[str, Any], told: str, whom: str) -> None:
    found = breaks(released, current)
    assert len(found) == 1, found
    assert found[0].startswith(told)
    assert found[0].endswith(f"; {whom}")


@pytest.mark.parametrize(
    ("released", "current"),
    [
        pytest.param(fields(a=(str, ...)), fields(a=(str, ...), b=(int, 0)), id="optional field"),
        pytest.param(fields(a=(str, ...)), fields(a=(str, ...), b=(Label | None, None)), id="optional part"),
        pytest.param(a_field(Label), a_field(OptionalMore), id="optional field inside"),
        pytest.param(a_field(list[Label]), a_field(list[OptionalMore]), id="optional field inside items"),
        pytest.param(
            a_field(Label | Span | None), a_field(OptionalMore | Span | None), id="optional field in an output"
        ),
        pytest.param(a_field(Label | Span), a_field(Span | Label), id="outputs in another order"),
        pytest.param(
            a_field(Annotated[str, Field(description="before")]),
            a_field(Annotated[str, Field(description="after", title="T", examples=["x"])]),
            id="other words",
        ),
    ],
)
def test_an_addition_breaks_nothing(released: dict[str, Any], current: dict[str, Any]) -> None:
    assert breaks(released, current) == []
    assert breaks(released, released) == []


def test_a_further_form_of_an_output_is_an_addition_and_of_anything_else_a_break() -> None:
    def message(field: str, *forms: str) -> dict[str, Any]:
        return {"type": "object", "properties": {field: {"anyOf": [form(name) for name in forms]}}}

    def form(name: str) -> dict[str, Any]:
        return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}

    assert breaks(message("output", "label", "entities"), message("output", "label", "entities", "content")) == []
    assert breaks(message("model", "name", "id"), message("model", "name", "id", "hash")) == [
        f"$.model: object with hash added; {READERS}"
    ]
    assert breaks(message("output", "label"), message("output", "label", "content")) != []


def demanding(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {}, "anyOf": [{"required": [name]} for name in names]} if names else {}


def test_a_further_task_is_an_addition_and_one_less_a_break() -> None:
    assert breaks(demanding("intent", "ner"), demanding("intent", "ner", "mood")) == []
    assert breaks(demanding("intent", "ner"), demanding("intent")) == [f"$: ner satisfies no more; {WRITERS}"]


def test_a_demand_set_or_dropped_is_a_break() -> None:
    free = {"type": "object", "properties": {}}
    assert breaks(free, demanding("intent")) == [f"$: one of several fields is demanded; {WRITERS}"]
    assert breaks(demanding("intent"), free) == [f"$: nothing is demanded any more; {READERS}"]


def test_a_schema_that_holds_itself_is_compared() -> None:
    def tree(kind: str) -> dict[str, Any]:
        node = {
            "type": "object",
            "properties": {"value": {"type": kind}, "inner": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
        }
        return {"$ref": "#/$defs/Node", "$defs": {"Node": node}}

    assert breaks(tree("string"), tree("string")) == []
    assert breaks(tree("string"), tree("integer")) == [f"$.value: string became integer; {BOTH}"]


def test_several_breaks_are_all_told() -> None:
    assert breaks(a_field(int | str), a_field(int | bool)) == [
        f"$.field: string taken away; {WRITERS}",
        f"$.field: boolean added; {READERS}",
    ]
    released = fields(a=(str, ...), b=(int, 0), c=(bool, False))
    current = fields(a=(int, ...), b=(int, ...))
    assert len(breaks(released, current)) == 3
