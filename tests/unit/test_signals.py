"""The registry of signals: names of the conventions or of Sprat alone, bounded labels, and the documents made of it."""

import ast
import importlib
import inspect
import re
from collections import Counter as Count
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import opentelemetry.semconv
import pytest
from jsonschema import Draft202012Validator
from opentelemetry.metrics import CallbackOptions

import sprat_testing.plugin
from observability.registry.generate import attributes, generated, own_attributes, spans
from sprat.registry.retirement import OWNED_UNTIL, WITHDRAWS
from sprat.telemetry import instruments, signals
from sprat.telemetry.attributes import ERROR
from sprat.telemetry.instruments import OTHER, Attribute, Counter, Gauge, Metric, UpDownCounter
from sprat_contracts import SIGNATURE_HEADER
from sprat_contracts.dead_letters import OWN_HEADERS
from sprat_contracts.wire import SIGNATURE
from support.sources import ROOT
from support.yaml_files import load_yaml

CONVENTIONS = Path(opentelemetry.semconv.__path__[0])
MOVED = "Deprecated: Moved to the [OpenTelemetry GenAI semantic conventions repository]"
ATTRIBUTES = attributes()


class Convention(NamedTuple):
    """A constant of the package: the name that it holds, and what the package says of it."""

    name: str
    constant: str
    module: str
    description: str

    @property
    def usable(self) -> bool:
        """Whether it is current; `gen_ai.*` has moved to a repository that has no package, under the same names."""
        return not self.description.startswith("Deprecated") or self.description.startswith(MOVED)


def conventions() -> Iterator[Convention]:
    """Yield the constants of the pinned package, stable and incubating. Its deprecated ones say so in their text."""
    for path in CONVENTIONS.rglob("*.py"):
        module = ".".join(("opentelemetry.semconv", *path.relative_to(CONVENTIONS).with_suffix("").parts))
        body = ast.parse(path.read_text()).body
        for node, following in pairwise(body):
            match node, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=constant), value=ast.Constant(value=str(name))),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    yield Convention(name, constant, module, text.strip())


KNOWN = {each.name: each for each in conventions() if each.usable}


def name_of(signal: Attribute | Metric) -> str:
    return signal.name


def foreign(declared: list[Any]) -> list[Any]:
    return [each for each in declared if not each.name.startswith("sprat.")]


def test_the_package_names_what_is_current_and_what_is_not() -> None:
    assert {"messaging.system", "error.type", "messaging.client.sent.messages", "gen_ai.provider.name"} <= KNOWN.keys()
    assert not {"messaging.operation", "messaging.kafka.message.offset", "gen_ai.system"} & KNOWN.keys()


@pytest.mark.parametrize("signal", foreign([*ATTRIBUTES.values(), *signals.METRICS]), ids=name_of)
def test_a_name_without_our_prefix_is_one_of_the_conventions(signal: Attribute | Metric) -> None:
    assert signal.name in KNOWN


class RecordingMeter:
    """Returns how an instrument would be made."""

    def __getattr__(self, method: str) -> Any:
        return lambda **arguments: (method, arguments)


@pytest.mark.parametrize("metric", foreign(list(signals.METRICS)), ids=name_of)
def test_a_metric_of_the_conventions_has_their_kind_and_unit(metric: Metric) -> None:
    known = KNOWN[metric.name]
    module: ModuleType = importlib.import_module(known.module)
    make = getattr(module, f"create_{known.constant.lower()}", None)
    if make is None:  # what is stable has no function: its text says it
        assert known.description.endswith(f"Instrument: {metric.kind}\nUnit: {metric.unit}")
        return
    method, arguments = make(RecordingMeter())
    kind = method.removeprefix("create_").removeprefix("observable_").replace("_", "")
    assert (metric.kind, metric.unit) == (kind, arguments["unit"])


def test_names_are_unique_and_legal() -> None:
    for names in (
        [metric.name for metric in signals.METRICS],
        [metric.prometheus for metric in signals.METRICS],
        [span.name for span in signals.SPANS],
        [value.name for value in vars(signals).values() if isinstance(value, Attribute)],
    ):
        assert [name for name, count in Count(names).items() if count > 1] == []
    for signal in [*ATTRIBUTES.values(), *signals.METRICS]:
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", signal.name)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", metric.prometheus) for metric in signals.METRICS)


def test_labels_of_different_metrics_do_not_collide_in_prometheus() -> None:
    """Prometheus sees `sprat.model.name` and `sprat_model_name` as one label."""
    labels = [name.replace(".", "_") for name in ATTRIBUTES]
    assert len(labels) == len({*labels})
    series = {f"{metric.prometheus}{ending}" for metric in signals.METRICS for ending in ("_bucket", "_sum", "_count")}
    assert not series & {metric.prometheus for metric in signals.METRICS}


@pytest.mark.parametrize("metric", signals.METRICS, ids=name_of)
def test_a_metric_says_what_it_means_and_has_each_attribute_once(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z0-9].{10,}\.", metric.description)
    assert metric.unit in {"s", "By", "1"} or re.fullmatch(r"\{\w+\}", metric.unit)
    for found in ([each.key for each in metric.attributes], [each.name for each in metric.attributes]):
        assert len(found) == len({*found})
    assert all(each in ATTRIBUTES.values() for each in metric.attributes), "declared beside the registry"
    assert all(each.type == "string" for each in metric.attributes)


@pytest.mark.parametrize("constant", spans())
def test_a_span_says_what_it_means_and_has_each_attribute_once(constant: str) -> None:
    span = spans()[constant]
    assert span.description.endswith(".")
    for found in ([each.key for each in span.attributes], [each.name for each in span.attributes]):
        assert len(found) == len({*found})
    assert {*re.findall(r"\{(.*?)\}", span.name)} <= {each.name for each in span.attributes}


@pytest.mark.parametrize("attribute", ATTRIBUTES.values(), ids=name_of)
def test_an_attribute_says_what_it_means_and_has_each_value_once(attribute: Attribute) -> None:
    assert attribute.description.endswith(".")
    assert len(attribute.values) == len({*attribute.values})
    assert OTHER not in attribute.values
    shown = attribute.values or attribute.examples or attribute.type in {"int", "double", "boolean", "template[int]"}
    assert shown or not attribute.name.startswith("sprat."), "weaver wants examples"


# Emission.

COLOUR = Attribute("colour", "sprat.test.colour", "A colour.", ("red", "blue"))


def shop(limit: int = 2) -> Attribute:
    return Attribute("shop", "sprat.test.shop", "A shop.", limit=limit)


def test_a_value_that_is_not_listed_becomes_other() -> None:
    assert [COLOUR.bounded(value) for value in ("red", "blue", "mauve", "")] == ["red", "blue", OTHER, OTHER]


def test_values_beyond_the_limit_become_other_and_known_ones_stay() -> None:
    attribute = shop(limit=2)
    assert [attribute.bounded(value) for value in ("a", "b", "a", "c", "b")] == ["a", "b", "a", OTHER, "b"]


def test_a_series_has_the_names_of_its_attributes_and_is_remembered() -> None:
    counter = Counter("sprat.test.sales", "{sale}", "Sales.", (COLOUR, shop()))
    assert counter.attributes_of({"colour": "red", "shop": "a"}) == {"sprat.test.colour": "red", "sprat.test.shop": "a"}
    counter.add(2, colour="mauve", shop="a")
    assert [*counter.series.values()] == [
        {"sprat.test.colour": "red", "sprat.test.shop": "a"},
        {"sprat.test.colour": OTHER, "sprat.test.shop": "a"},
    ]


def test_an_undeclared_label_is_refused() -> None:
    counter = Counter("sprat.test.sales", "{sale}", "Sales.", (COLOUR,))
    with pytest.raises(TypeError, match=r"sprat\.test\.sales has no attribute shop"):
        counter.add(1, colour="red", shop="a")
    assert counter.series == {}


def collected(gauge: Gauge | Counter) -> list[tuple[float, dict[str, Any]]]:
    return [(each.value, dict(each.attributes or {})) for each in gauge._collect(CallbackOptions())]


def test_a_counter_adds_up_whatever_the_order_of_its_labels_and_all_others_as_one() -> None:
    counter = Counter("sprat.test.sales", "{sale}", "Sales.", (COLOUR, Attribute("shop", "sprat.test.shop", "Where.")))
    counter.add(1, colour="red", shop="a")
    counter.add(2, shop="a", colour="red")
    for colour in ("green", "brown"):
        counter.add(5, colour=colour, shop="a")
    assert collected(counter) == [
        (3, {"sprat.test.colour": "red", "sprat.test.shop": "a"}),
        (10, {"sprat.test.colour": OTHER, "sprat.test.shop": "a"}),
    ]


def test_a_gauge_shows_what_was_set_last() -> None:
    gauge = Gauge("sprat.test.stock", "{item}", "Stock.", (COLOUR,))
    gauge.set(1, colour="red")
    gauge.set(2, colour="red")
    gauge.set(3, colour="blue")
    assert collected(gauge) == [(2, {"sprat.test.colour": "red"}), (3, {"sprat.test.colour": "blue"})]


def test_replacing_the_values_of_a_gauge_ends_the_other_series() -> None:
    gauge = UpDownCounter("sprat.test.stock", "{item}", "Stock.", (COLOUR,))
    gauge.set(1, colour="red")
    gauge.replace([(5, {"colour": "blue"})])
    assert collected(gauge) == [(5, {"sprat.test.colour": "blue"})]
    gauge.replace([])
    assert collected(gauge) == []


@pytest.mark.parametrize("kind", [Gauge, Counter])
def test_a_watched_source_is_read_at_each_collection_until_it_ends(kind: type[Gauge | Counter]) -> None:
    observed, stock = kind("sprat.test.stock", "{item}", "Stock.", (COLOUR,)), [1]
    end = observed.watch(lambda: [(stock[0], {"colour": "red"})])
    assert collected(observed) == [(1, {"sprat.test.colour": "red"})]
    stock[0] = 2
    assert collected(observed) == [(2, {"sprat.test.colour": "red"})]
    end()
    assert collected(observed) == []


# The documents.


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_says_what_the_registry_says(path: Path) -> None:
    assert path.exists(), "run `make generate` and commit what it writes"
    assert path.read_text("utf-8") == generated()[path], "run `make generate` and commit what it writes"


def test_each_signal_is_on_the_page() -> None:
    (page,) = (text for path, text in generated().items() if path.suffix == ".md")
    found = re.findall(r"^- \*\*`(.+?)`\*\*", page, re.MULTILINE)
    declared = [each.name for each in (*signals.METRICS, *signals.SPANS, *ATTRIBUTES.values())]
    assert sorted(found) == sorted(declared)


TEXT = {"type": "string", "minLength": 1}
STABILITY = {"enum": ["stable", "development", "alpha", "beta", "release_candidate"]}
SIMPLE = "string|int|double|boolean"


def strictly(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the schema of an object that has these fields and no others."""
    fields = required | optional
    return {"type": "object", "required": [*required], "properties": fields, "additionalProperties": False}


MEMBER = strictly({"id": TEXT, "value": TEXT, "stability": STABILITY}, brief=TEXT)
DEFINITION = strictly(
    {
        "id": TEXT,
        "type": {
            "anyOf": [
                {"type": "string", "pattern": rf"^(({SIMPLE})(\[\])?|template\[({SIMPLE})(\[\])?\])$"},
                strictly({"members": {"type": "array", "minItems": 1, "items": MEMBER}}),
            ]
        },
        "stability": STABILITY,
        "brief": TEXT,
    },
    examples={"type": "array", "minItems": 1},
)
REFERENCES = {"type": "array", "items": strictly({"ref": TEXT}, brief=TEXT)}
BASE = {"id": TEXT, "brief": TEXT}
GROUPS = {
    "attribute_group": strictly(
        BASE | {"type": {"const": "attribute_group"}, "attributes": {"type": "array", "items": DEFINITION}},
        display_name=TEXT,
    ),
    "metric": strictly(
        BASE
        | {
            "type": {"const": "metric"},
            "stability": STABILITY,
            "metric_name": TEXT,
            "instrument": {"enum": ["counter", "gauge", "histogram", "updowncounter"]},
            "unit": TEXT,
            "attributes": REFERENCES,
        }
    ),
    "span": strictly(
        BASE
        | {
            "type": {"const": "span"},
            "stability": STABILITY,
            "span_kind": {"enum": ["client", "server", "producer", "consumer", "internal"]},
            "attributes": REFERENCES,
        },
        display_name=TEXT,
    ),
}
"""The grammar of weaver's `schemas/semconv-syntax.md`, as far as the registry uses it, and stricter: nothing else."""
URL_WITH_VERSION = {"type": "string", "pattern": r"^https?://[^/]+/\S+/\d+\.\d+\.\d+$"}
MANIFEST = strictly(
    {
        "name": TEXT,
        "description": TEXT,
        "schema_url": URL_WITH_VERSION,
        "dependencies": {
            "type": "array",
            "items": strictly({"schema_url": URL_WITH_VERSION, "registry_path": TEXT}),
        },
    }
)


def registry_files() -> dict[str, Any]:
    return {path.name: load_yaml(text) for path, text in generated().items() if path.suffix == ".yaml"}


def registry_groups() -> list[dict[str, Any]]:
    files = registry_files()
    files.pop("manifest.yaml")
    assert all([*file] == ["groups"] for file in files.values())
    return [group for file in files.values() for group in file["groups"]]


def test_the_registry_has_the_form_that_weaver_reads() -> None:
    Draft202012Validator(MANIFEST).validate(registry_files()["manifest.yaml"])
    for group in registry_groups():
        Draft202012Validator(GROUPS[group["type"]]).validate(group)


def test_each_id_of_the_registry_is_unique_and_each_reference_is_defined() -> None:
    defined = {each["id"] for each in own_attributes()["attributes"]}
    assert defined == {name for name in ATTRIBUTES if name.startswith("sprat.")}
    assert max(Count(group["id"] for group in registry_groups()).values()) == 1
    used = {each["ref"] for group in registry_groups() for each in group["attributes"] if "ref" in each}
    assert used <= defined | KNOWN.keys()
    assert used == ATTRIBUTES.keys(), "an attribute that no signal has"


def test_an_own_attribute_has_examples_of_its_type() -> None:
    """An attribute of strings needs them, and those of a list are lists."""
    for attribute in own_attributes()["attributes"]:
        if attribute["type"] in ("string", "string[]"):
            wanted = str if attribute["type"] == "string" else list
            assert all(isinstance(example, wanted) for example in attribute["examples"])


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_names_only_metrics_that_exist(page: Path) -> None:
    named = {
        *re.findall(r"`((?:sprat|messaging|gen_ai|process)_\w+?)(?:_bucket|_sum|_count)?`", page.read_text("utf-8"))
    }
    labels = {name.replace(".", "_") for name in ATTRIBUTES}
    packages = {path.name for path in ROOT.glob("*/*/src/*")} | {path.name for path in ROOT.glob("*/src/*")}
    fixtures = {name for name, _ in inspect.getmembers(sprat_testing.plugin) if name.startswith("sprat_")}
    others = labels | packages | fixtures | OWN_HEADERS | {SIGNATURE, SIGNATURE_HEADER, OWNED_UNTIL, WITHDRAWS}
    assert named - {metric.prometheus for metric in signals.METRICS} - others == set()


def test_every_kind_of_span_can_fail() -> None:
    """Else the end of a span would replace the error that ends it."""
    assert [span.name for span in signals.SPANS if ERROR not in span.attributes] == []


def test_beyond_the_series_of_a_metric_open_attributes_are_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "MAX_SERIES", 2)
    counter = Counter("sprat.test.sales", "{sale}", "Sales.", (COLOUR, shop(limit=100)))
    for name in "abcd":
        counter.add(1, colour="red", shop=name)
    assert collected(counter) == [
        (1, {"sprat.test.colour": "red", "sprat.test.shop": "a"}),
        (1, {"sprat.test.colour": "red", "sprat.test.shop": "b"}),
        (2, {"sprat.test.colour": "red", "sprat.test.shop": OTHER}),
    ]


def test_of_the_series_of_a_gauge_that_are_other_the_largest_shows() -> None:
    gauge = Gauge("sprat.test.stock", "{item}", "Stock.", (shop(),))
    gauge.replace([(value, {"shop": name}) for name, value in (("a", 5), ("b", 6), ("c", 1000), ("d", 1))])
    assert collected(gauge)[-1] == (1000, {"sprat.test.shop": OTHER})
