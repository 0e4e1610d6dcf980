"""Write what the registry of signals publishes: a page for people, and YAML in the form of OpenTelemetry's weaver.

`make generate` runs it. It stands beside what it writes and outside all packages: no service needs it, and it imports
the declarations alone (`sprat.telemetry.signals` and `.attributes`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from contracts.generators.paths import ROOT, write
from sprat.telemetry import attributes as all_attributes
from sprat.telemetry import signals
from sprat.telemetry.instruments import Attribute, Metric, SpanType

PAGE = ROOT / "docs/signals.md"
REGISTRY = ROOT / "observability/registry"
CONVENTIONS: Final = "1.44.0"
"""The version of the semantic conventions that attributes are taken from by `ref`."""
NAMESPACE: Final = "sprat."

_HEADER = "# Generated from sprat.telemetry.signals by `make generate`.\n"
_SECTIONS: Final[dict[Metric, str]] = {
    signals.PAIRS: "What becomes of texts",
    signals.CONSUMED: "What every service does with records",
    signals.PREDICTIONS: "Small models and caches",
    signals.ESCALATIONS: "The frontier: what leaves and what it costs",
    signals.REVIEWS_DRAWN: "Reviews of what is kept",
    signals.GROUP_LAG: "The installation, as one router sees it",
    signals.BUILD: "The process",
}
"""The first metric of each section of the page → its heading."""

_INTRODUCTION = f"""# Signals

Every metric and every span that Sprat emits. `make generate` writes this page from
[`signals.py`](../shared/chassis/src/sprat/telemetry/signals.py); a test compares it with what a whole system emits.

- **Prometheus** scrapes `/metrics` on the health port of each service (`SPRAT_HEALTH_PORT`): OpenMetrics with
  exemplars, or Prometheus text. Each series also has the label `service_name` (`sprat-router`, `sprat-intent`, …) and,
  for a service with a model, `sprat_model_name`.
- **OTLP** exports all of it: [Configuration](configuration.md#telemetry-otel_).
- **Never in any signal:** texts, answers, masked values, secrets. Spans and logs name the ids of events, metrics have
  no ids.
- **Bounded:** an attribute of a metric has listed values, or a limited number of different ones in each process. Every
  value beyond becomes `other`; `SPRAT_TELEMETRY__TENANTS` limits the tenants.
- **Names** without the prefix `{NAMESPACE}` are those of OpenTelemetry's semantic conventions {CONVENTIONS}
  (`gen_ai.*`: 1.41). In Prometheus, dots become underscores, also in labels: `sprat.task` is `sprat_task`. A histogram
  has the series `_bucket`, `_sum` and `_count`.
- **For programs**, the same registry is [YAML](../observability/registry/metrics.yaml) in the form of
  [weaver](https://github.com/open-telemetry/weaver): `weaver registry check -r observability/registry`.
"""


def attributes() -> dict[str, Attribute]:
    """Return every declared attribute, by its name."""
    return {value.name: value for value in vars(all_attributes).values() if isinstance(value, Attribute)}


def spans() -> dict[str, SpanType]:
    """Return every kind of span, by its constant."""
    return {constant: value for constant, value in vars(signals).items() if isinstance(value, SpanType)}


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Return the expected text of every generated file."""
    folder = root / REGISTRY.relative_to(ROOT)
    documents = {
        "manifest.yaml": manifest(),
        "attributes.yaml": groups([own_attributes()]),
        "metrics.yaml": groups(map(metric_group, signals.METRICS)),
        "spans.yaml": groups(span_group(constant, span) for constant, span in spans().items()),
    }
    return {root / PAGE.relative_to(ROOT): page()} | {
        folder / name: _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=118)
        for name, document in documents.items()
    }


# The registry in weaver's form.


def manifest() -> dict[str, Any]:
    """Return what weaver reads first: who this registry is, and where the attributes of others are defined."""
    conventions = "https://github.com/open-telemetry/semantic-conventions"
    return {
        "name": "sprat",
        "description": "Metrics and spans of Sprat, small language models on a Kafka event stream.",
        "schema_url": "https://sprat.dev/schemas/0.1.0",
        "dependencies": [
            {
                "schema_url": f"https://opentelemetry.io/schemas/{CONVENTIONS}",
                "registry_path": f"{conventions}/archive/refs/tags/v{CONVENTIONS}.zip[model]",
            }
        ],
    }


def groups(members: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a file of groups."""
    return {"groups": list(members)}


def own_attributes() -> dict[str, Any]:
    """Return the definitions of the attributes that no semantic convention defines."""
    return {
        "id": "registry.sprat",
        "type": "attribute_group",
        "display_name": "Attributes of Sprat",
        "brief": "Attributes that no semantic convention defines.",
        "attributes": [definition(each) for name, each in attributes().items() if name.startswith(NAMESPACE)],
    }


def definition(attribute: Attribute) -> dict[str, Any]:
    """Return the definition of one attribute."""
    members = [{"id": value, "value": value, "stability": "development"} for value in map(str, attribute.values)]
    examples = {"examples": list(attribute.examples)} if attribute.examples else {}
    return {
        "id": attribute.name,
        "type": {"members": members} if members else attribute.type,
        "stability": "development",
        "brief": attribute.description,
        **examples,
    }


def references(declared: Iterable[Attribute]) -> list[dict[str, str]]:
    """Return the attributes of a metric or a span; of those of others, with what they mean here."""
    return [
        {"ref": each.name} if each.name.startswith(NAMESPACE) else {"ref": each.name, "brief": each.description}
        for each in declared
    ]


def metric_group(metric: Metric) -> dict[str, Any]:
    """Return the group of one metric."""
    return {
        "id": f"metric.{metric.name}",
        "type": "metric",
        "metric_name": metric.name,
        "stability": "development",
        "brief": metric.description,
        "instrument": metric.kind,
        "unit": metric.unit,
        "attributes": references(metric.attributes),
    }


def span_group(constant: str, span: SpanType) -> dict[str, Any]:
    """Return the group of one kind of span."""
    return {
        "id": f"span.sprat.{constant.lower()}",
        "type": "span",
        "display_name": span.name,
        "stability": "development",
        "brief": span.description,
        "span_kind": span.kind.name.lower(),
        "attributes": references(span.attributes),
    }


# The page.


def page() -> str:
    """Return the page for people."""
    return "\n".join([_INTRODUCTION, *_metrics(), *_spans(), *_attributes()])


def _metrics() -> Iterable[str]:
    yield "## Metrics"
    for metric in signals.METRICS:
        if heading := _SECTIONS.get(metric):
            yield f"\n### {heading}\n"
        yield f"- **`{metric.name}`**, `{metric.prometheus}`: {metric.kind}, `{metric.unit}`."
        yield f"  {metric.description}{_by(metric.attributes)}"


def _spans() -> Iterable[str]:
    yield "\n## Spans\n\n`{…}` in a name stands for the value of an attribute.\n"
    for span in signals.SPANS:
        yield f"- **`{span.name}`**: {span.kind.name}."
        yield f"  {span.description}{_by(span.attributes)}"


def _attributes() -> Iterable[str]:
    in_metrics = {attribute.name for metric in signals.METRICS for attribute in metric.attributes}
    yield "\n## Attributes\n\nWhat metrics may have stands last; an attribute without it is one of spans alone.\n"
    for name, attribute in attributes().items():
        yield f"- **`{name}`**: {attribute.type}."
        yield f"  {attribute.description}{_bounds(attribute) if name in in_metrics else ''}"
    yield ""


def _by(declared: Iterable[Attribute]) -> str:
    names = ", ".join(f"`{attribute.name}`" for attribute in declared)
    return names and f"<br>Attributes: {names}."


def _bounds(attribute: Attribute) -> str:
    values = ", ".join(f"`{value}`" for value in map(str, attribute.values))
    return f"<br>In metrics: {values or f'any, at most {attribute.limit} different ones'}."


if __name__ == "__main__":
    write(generated(), ROOT)
