"""What a PromQL expression names, so that tests can hold it against the registry of signals."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import promql_parser as parser

from sprat.telemetry import signals
from sprat.telemetry.instruments import OTHER, Histogram

RESOURCE_LABELS = frozenset({"service_name", "sprat_model_name", "instance", "job"})
"""The labels that every series has from its process and from its scrape."""


@dataclass(frozen=True)
class Selected:
    """A selector of an expression, with every label that the expression expects of it."""

    name: str
    labels: frozenset[str]
    matchers: tuple[tuple[str, str], ...]
    """Labels with the texts that they are matched with."""


def selected(expr: str) -> list[Selected]:
    """Return the selectors of an expression without variables.

    Raises:
        ValueError: the expression is no PromQL.
    """
    return list(_selected(parser.parse(expr), frozenset()))


def _selected(node: object, labels: frozenset[str]) -> Iterator[Selected]:
    match node:
        case parser.VectorSelector():
            matchers = tuple((each.name, each.value) for each in node.matchers.matchers)
            yield Selected(node.name or "", labels | {name for name, _ in matchers}, matchers)
        case parser.MatrixSelector():
            yield from _selected(node.vector_selector, labels)
        case parser.AggregateExpr():
            grouped = node.modifier and node.modifier.type == parser.AggModifierType.By
            made = {node.param.val} if isinstance(node.param, parser.StringLiteral) else set()  # by count_values
            yield from _selected(node.expr, labels - made | frozenset(node.modifier.labels if grouped else ()))
        case parser.BinaryExpr():
            left, right = _sides(node, labels)
            yield from _selected(node.lhs, left)
            yield from _selected(node.rhs, right)
        case parser.Call():
            for each in node.args:
                yield from _selected(each, labels)
        case parser.ParenExpr() | parser.UnaryExpr() | parser.SubqueryExpr():
            yield from _selected(node.expr, labels)
        case _:
            assert isinstance(node, parser.NumberLiteral | parser.StringLiteral), node


def _sides(node: parser.BinaryExpr, labels: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the labels that are expected of each side: with `on`, one side alone may give all others."""
    matching = node.modifier and node.modifier.matching
    if not matching or matching.type != parser.LabelModifierType.Include:
        return labels, labels
    on, brought = frozenset(matching.labels), frozenset(node.modifier.group_labels or ())
    if node.modifier.card == parser.VectorMatchCardinality.ManyToOne or str(node.op) in {"and", "unless"}:
        return labels - brought | on, on | brought
    if node.modifier.card == parser.VectorMatchCardinality.OneToMany:
        return on | brought, labels - brought | on
    return labels | on, labels | on


@cache
def declared() -> dict[str, frozenset[str]]:
    """Return every series of the registry, by its name in Prometheus, with its labels."""
    found = {}
    for metric in signals.METRICS:
        labels = RESOURCE_LABELS | {attribute.name.replace(".", "_") for attribute in metric.attributes}
        if isinstance(metric, Histogram):
            found |= {metric.prometheus + part: labels for part in ("_sum", "_count")}
            found[metric.prometheus + "_bucket"] = labels | {"le"}
        else:
            found[metric.prometheus] = labels
    return found


@cache
def values() -> dict[str, frozenset[str]]:
    """Return the values that a label may have, of those labels whose values are listed."""
    attributes = {each.name.replace(".", "_"): each for metric in signals.METRICS for each in metric.attributes}
    return {label: frozenset({OTHER, *map(str, each.values)}) for label, each in attributes.items() if each.values}


def undeclared(expr: str, known: dict[str, frozenset[str]] | None = None) -> list[str]:
    """Return what an expression names that the registry does not declare; `known`: further series and their labels."""
    series = declared() | (known or {})
    wrong = []
    for each in selected(expr):
        if each.name not in series:
            wrong.append(f"no series {each.name!r}")
        elif missing := each.labels - series[each.name]:
            wrong.append(f"{each.name} has no label {', '.join(sorted(missing))}")
        for label, text in each.matchers if each.name in declared() else ():
            known_values = values().get(label, frozenset())
            unknown = {*text.split("|")} - known_values if re.fullmatch(r"[\w|]+", text) and known_values else set()
            wrong += [f"{label} is never {value}" for value in sorted(unknown)]
    return wrong
