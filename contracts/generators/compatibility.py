"""What a change of a message's JSON Schema breaks for programs that were written for a released version.

Both directions count, for neither side is upgraded at once and records stay in Kafka for days:

* **writers**: what an old program writes must still be accepted. A change that narrows breaks this: a field made
  mandatory, a type, a listed value or null removed, a tighter limit.
* **readers**: what a new program writes must still be understood by an old one. A change that widens breaks this: a
  field removed or no longer mandatory, another type, listed value or null, a looser limit.

Another default changes what a missing field means, so it breaks both. Another optional field breaks nothing, because
readers ignore unknown fields. Nor does another way to satisfy a demand for one of several fields (`Tasks`): old readers
report tasks that they do not know. Nor does a further form of an output: it answers a task that old readers do not
know, on topics of its own.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

WRITERS, READERS, BOTH = "breaks writers", "breaks readers", "breaks writers and readers"

_ANNOTATIONS = frozenset({"$comment", "$defs", "$id", "$schema", "deprecated", "description", "examples", "title"})
"""Keywords that do not affect what is valid."""

_STRUCTURE = frozenset(
    {"$ref", "additionalProperties", "anyOf", "const", "enum", "items", "properties", "required", "type"}
)
"""Keywords that are compared by their meaning; of all others any change is a break."""

_LOWER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def breaks(released: Schema, current: Schema) -> list[str]:
    """Return what the current schema breaks of the released one, a line each: where, what, for whom."""
    return list(_Comparison(released, current).of(released, current, "$"))


class _Comparison:
    """Compares two documents; keeps the pairs of references under comparison, because schemas are recursive."""

    def __init__(self, released: Schema, current: Schema) -> None:
        self._released = released
        self._current = current
        self._within: list[tuple[str, str]] = []

    def of(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Compare two schemas at one place of a message."""
        here = (old.get("$ref", ""), new.get("$ref", ""))
        if all(here) and here in self._within:
            return
        self._within.append(here)
        yield from _default(old, new, path)
        pairs, gone, added = _paired(_variants(self._released, old), _variants(self._current, new))
        for before, after in pairs:
            yield from self._variant(before, after, path)
        yield from (f"{path}: {_label(variant)} taken away; {WRITERS}" for variant in gone)
        if not (path.endswith(".output") and len(_objects(pairs)) > 1):
            yield from (f"{path}: {_label(variant)} added; {READERS}" for variant in added)
        self._within.pop()

    def _variant(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if old.get("type") != new.get("type"):
            yield f"{path}: {_label(old)} became {_label(new)}; {BOTH}"
            return
        yield from _enum(old, new, path)
        yield from _limits(old, new, path)
        yield from _demands(old, new, path)
        yield from self._fields(old, new, path)
        for keyword, step in (("items", "[]"), ("additionalProperties", ".*")):
            before, after = _as_schema(old.get(keyword, True)), _as_schema(new.get(keyword, True))
            if before or after:
                yield from self.of(before, after, f"{path}{step}")

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self.of(before[name], after[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}: removed; {READERS}"
        mandatory, now = set(old.get("required", ())), set(new.get("required", ()))
        yield from (f"{path}.{name}: made mandatory; {WRITERS}" for name in sorted(now - mandatory))
        free = (mandatory - now) & after.keys()
        yield from (f"{path}.{name}: no longer mandatory; {READERS}" for name in sorted(free))


def _variants(document: Schema, schema: Schema) -> list[Schema]:
    """Return what a value may be, one schema for each type."""
    whole = _resolved(document, schema)
    branches = [_resolved(document, branch) for branch in whole.get("anyOf", ())]
    if any({"type", "enum", "const"} & branch.keys() for branch in branches):
        return [variant for branch in branches for variant in _variants(document, branch)]
    types = whole.get("type")
    return [whole | {"type": one} for one in types] if isinstance(types, list) else [whole]


def _paired(
    before: list[Schema], after: list[Schema]
) -> tuple[list[tuple[Schema, Schema]], list[Schema], list[Schema]]:
    """Pair the variants of both sides; return the pairs, and what has no partner on either side.

    Variants with the same mandatory fields, by which readers distinguish objects, come first; then those of the same
    type; then a single variant on each side.
    """
    pairs: list[tuple[Schema, Schema]] = []
    before, after = list(before), list(after)
    alone = len(before) == len(after) == 1
    for same in (_same_fields, _same_type, lambda old, new: alone):  # noqa: ARG005 - as the others
        for old in list(before):
            new = next((new for new in after if same(old, new)), None)
            if new is not None:
                pairs.append((old, new))
                before.remove(old)
                after.remove(new)
    return pairs, before, after


def _objects(pairs: list[tuple[Schema, Schema]]) -> list[Schema]:
    """Return the objects among what both sides have."""
    return [old for old, _ in pairs if old.get("type") == "object"]


def _same_type(old: Schema, new: Schema) -> bool:
    return bool(old.get("type") == new.get("type"))


def _same_fields(old: Schema, new: Schema) -> bool:
    return _same_type(old, new) and set(old.get("required", ())) == set(new.get("required", ()))


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Follow a reference into `$defs`; keywords next to it apply as well."""
    while "$ref" in schema:
        siblings = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        schema = document["$defs"][schema["$ref"].removeprefix("#/$defs/")] | siblings
    return schema


def _as_schema(schema: Any) -> Schema:
    """Return a boolean schema as an object that accepts anything, or nothing."""
    return dict(schema) if isinstance(schema, dict) else ({} if schema else {"type": "nothing"})


def _label(variant: Schema) -> str:
    fields = ", ".join(variant.get("required", ()))
    return f"{variant.get('type', 'any value')}{f' with {fields}' if fields else ''}"


def _default(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Compare defaults: a missing field must keep its meaning. `_fields` reports a field that was mandatory."""
    if "default" in old and old["default"] != new.get("default", old["default"]):
        yield f"{path}: default {old['default']!r} became {new['default']!r}; {BOTH}"


def _enum(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = _listed(old), _listed(new)
    if before is None or after is None:
        if before is not after:
            yield f"{path}: " + (f"any value now; {READERS}" if after is None else f"listed values only; {WRITERS}")
        return
    yield from (f"{path}: value {value!r} taken away; {WRITERS}" for value in before if value not in after)
    yield from (f"{path}: value {value!r} added; {READERS}" for value in after if value not in before)


def _listed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _limits(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in sorted((old.keys() | new.keys()) - _STRUCTURE - _ANNOTATIONS - {"default"}):
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        whom = BOTH
        if keyword in _LOWER | _UPPER:
            tighter = before is None or (after is not None and (after > before) == (keyword in _LOWER))
            whom = WRITERS if tighter else READERS
        elif before is None or after is None:
            whom = WRITERS if before is None else READERS
        yield f"{path}: {keyword} {before!r} became {after!r}; {whom}"


def _demands(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Compare the alternatives that only demand one of several fields of the object around them."""
    before, after = old.get("anyOf"), new.get("anyOf")
    if before and not after:
        yield f"{path}: nothing is demanded any more; {READERS}"
    elif after and not before:
        yield f"{path}: one of several fields is demanded; {WRITERS}"
    else:
        gone = [demand for demand in before or () if demand not in (after or ())]
        yield from (f"{path}: {', '.join(demand['required'])} satisfies no more; {WRITERS}" for demand in gone)
