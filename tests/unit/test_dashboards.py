"""The dashboards: the committed files are what the declarations give, and name only what the registry declares."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest
import yaml

from observability.dashboards import grafana, pages, promql
from observability.dashboards.draw import formatted, named
from observability.dashboards.generate import DASHBOARDS, committed, generated
from observability.dashboards.panels import COLUMNS, DEFAULTS, Dashboard, Query, variables_in
from observability.dashboards.source import Series
from sprat.telemetry import signals
from sprat.telemetry.instruments import Histogram
from support.promql import declared, selected, undeclared
from support.sources import ROOT
from support.synthetic_metrics import STEP, openmetrics

PROVISIONING = ROOT / "observability/grafana/provisioning"
FILES = generated()
PROMETHEUS = {"ALERTS": frozenset({"alertname", "alertstate", "severity"}), "up": frozenset({"job", "instance"})}
"""The series that Prometheus itself writes."""

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


@pytest.fixture(scope="module", params=DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(FILES[ROOT / f"observability/grafana/dashboards/{request.param.uid}.json"])


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.name)
def test_a_committed_file_is_what_the_declarations_give(path: Path) -> None:
    assert path.read_text("utf-8") == FILES[path], "run `make generate` and commit what it writes"


def test_no_file_of_an_earlier_dashboard_stays() -> None:
    assert committed() == FILES.keys()


# Names.


@every_dashboard
def test_queries_name_only_series_and_labels_of_the_registry(dashboard: Dashboard) -> None:
    assert {
        f"{panel.title}: {mistake}"
        for panel, query in dashboard.queries
        for mistake in undeclared(pages.concrete(query), PROMETHEUS)
    } == set()


def test_every_metric_has_synthetic_data() -> None:
    """Every query is run on that data where Prometheus is installed; a metric without it is found here, without."""
    names = {line.partition("{")[0] for line in openmetrics(end=3600, seconds=STEP)}
    suffix = {Histogram.kind: "_bucket"}
    assert [
        metric.name for metric in signals.METRICS if metric.prometheus + suffix.get(metric.kind, "") not in names
    ] == []


@pytest.mark.parametrize("expr", [grafana.FIRING, grafana.CHANGED])
def test_annotations_name_only_what_there_is(expr: str) -> None:
    assert undeclared(expr, PROMETHEUS) == []


def test_every_metric_is_on_a_dashboard() -> None:
    names = {
        each.name
        for dashboard in DASHBOARDS
        for _, query in dashboard.queries
        for each in selected(pages.concrete(query))
    }
    shown = {metric.name for metric in signals.METRICS if names & promql_names(metric.prometheus)}
    assert {metric.name for metric in signals.METRICS} == shown


def promql_names(prometheus: str) -> set[str]:
    return {prometheus + part for part in ("", "_bucket", "_sum", "_count")} & declared().keys()


@every_dashboard
def test_legends_show_labels_that_the_query_keeps(dashboard: Dashboard) -> None:
    """A label that is summed away would leave a gap in the name of every series."""
    lost = {
        f"{panel.title}: {label}"
        for panel, query in dashboard.queries
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend)
        if not re.search(rf"by \([^)]*\b{label}\b[^)]*\)", query.expr)
    }
    assert lost == set()


@every_dashboard
def test_queries_of_one_panel_have_names(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        legends = [query.legend for query in panel.queries]
        assert len(panel.queries) == 1 or all(legends), panel.title


@pytest.mark.parametrize(
    "expr",
    [
        "sum(sprat_resultz_total)",
        "sum(sprat_results)",
        'sum(sprat_results_total{tenant="a"})',
        "sum by (sprat_modell) (rate(sprat_results_total[1m]))",
        "sprat_ready + on (sprat_task) sprat_kafka_reachable",
        "sum by (sprat_task) (sprat_results_total * on (instance) group_left (sprat_task) sprat_ready)",
        "sum by (sprat_modell) (sprat_results_total and on (instance) sprat_ready)",
        "histogram_quantile(0.9, sum by (le) (rate(sprat_results_total[1m])))",
    ],
)
def test_a_wrong_name_is_found(expr: str) -> None:
    assert undeclared(expr) != []


@pytest.mark.parametrize(
    "expr",
    [
        "sum by (sprat_task) (sprat_results_total and on (instance) sprat_ready)",
        "sum by (sprat_task) (sprat_results_total < on (instance) group_left () sprat_ready)",
        "sum by (service_version) (sprat_results_total * on (instance) group_left (service_version) sprat_build_info)",
        "sum by (sprat_task) (sprat_ready * on (instance) group_right () sprat_results_total)",
    ],
)
def test_one_side_of_a_match_may_have_the_labels(expr: str) -> None:
    assert undeclared(expr) == []


# What a page holds.


def test_the_schema_is_the_one_that_is_tested(page: dict[str, Any]) -> None:
    assert page["schemaVersion"] == 42
    assert page["tags"] == ["sprat"]


def test_panels_have_places_of_their_own(page: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in page["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])


def test_a_full_line_of_panels_comes_first(page: dict[str, Any]) -> None:
    """The answer, as numbers."""
    line = [panel for panel in page["panels"] if panel["gridPos"]["y"] == 1]
    assert {panel["type"] for panel in line} == {"stat"}
    assert sum(panel["gridPos"]["w"] for panel in line) == COLUMNS


def test_the_expressions_of_the_file_are_the_declared_ones(page: dict[str, Any]) -> None:
    dashboard = next(each for each in DASHBOARDS if each.uid == page["uid"])
    written = [target["expr"] for panel in page["panels"] for target in panel.get("targets", ())]
    assert written == [query.expr for _, query in dashboard.queries]


def test_every_variable_in_use_is_declared(page: dict[str, Any]) -> None:
    variables = {variable["name"] for variable in page["templating"]["list"]}
    assert {"datasource", "traces"} <= variables
    for panel in page["panels"]:
        for target in panel.get("targets", ()):
            assert variables_in(target["expr"]) <= variables


def test_choices_of_a_variable_come_from_a_declared_label(page: dict[str, Any]) -> None:
    for variable in page["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            assert label in declared()[metric]


def test_quantiles_show_exemplars_that_lead_to_traces(page: dict[str, Any]) -> None:
    shown = [panel for panel in page["panels"] if panel["type"] == "timeseries"]
    for panel in shown:
        for target in panel["targets"]:
            assert target.get("exemplar", False) == ("_bucket" in target["expr"])


def test_links_lead_to_dashboards_that_there_are(page: dict[str, Any]) -> None:
    uids = {dashboard.uid for dashboard in DASHBOARDS}
    assert {*re.findall(r"/d/([\w-]+)", json.dumps(page))} <= uids


@every_dashboard
def test_a_panel_says_how_to_read_it(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        assert panel.description.endswith("."), panel.title
        # Longer titles are cut off in the narrow panels of the first line.
        assert len(panel.title) <= 6 * panel.width, panel.title


def test_both_kinds_of_variables_are_replaced() -> None:
    query = Query('${price:raw} * sum(rate(sprat_pairs_total{sprat_task=~"$task"}[$__rate_interval]))')
    concrete = pages.concrete(query, rate="20s", values={"price": "0.5", "task": "ner"})
    assert concrete == '0.5 * sum(rate(sprat_pairs_total{sprat_task=~"ner"}[20s]))'


@pytest.mark.parametrize(
    ("expr", "concrete"),
    [
        ('a{sprat_task=~"$task"}', "a"),
        ('a{sprat_task=~"$task", b="c"}[$__range]', 'a{b="c"}[1h]'),
        ('a{b="c", sprat_task=~"$task"}', 'a{b="c"}'),
        ('a{b="c", sprat_task=~"$task", sprat_tenant=~"$tenant", d="e"}', 'a{b="c", d="e"}'),
    ],
)
def test_a_filter_that_lets_all_pass_is_left_out(expr: str, concrete: str) -> None:
    assert pages.concrete(Query(expr)) == concrete


def test_the_value_of_the_price_needs_no_quotes_in_grafanas_list() -> None:
    assert not {*DEFAULTS["price"]} & {*"\"',:"}
    promql_parser.parse(DEFAULTS["price"])


# Expressions.


def test_an_unknown_attribute_of_a_metric_is_refused() -> None:
    with pytest.raises(TypeError, match=r"sprat\.ready has no attribute task"):
        promql.series(signals.READY, task="ner")


def test_a_boundary_that_the_histogram_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no boundary 2"):
        promql.within(2, signals.RESULT_SECONDS)


def test_what_victoria_metrics_counts_itself_is_left_out_for_it() -> None:
    expr = f"{promql.total(signals.REBALANCES, service='sprat-intent')} / {promql.total(signals.REBALANCES)}"
    assert promql.for_victoria_metrics(expr) == (
        'sum(increase(sprat_rebalances_total{service_name="sprat-intent"}[$__range])) / '
        "sum(increase(sprat_rebalances_total[$__range]))"
    )


# Without Grafana.


@every_dashboard
def test_the_link_of_prometheus_has_every_query(dashboard: Dashboard) -> None:
    link = urlsplit(pages.prometheus_link("http://127.0.0.1:9090/", dashboard))
    assert link.path == "/graph"
    fields = parse_qs(link.query, strict_parsing=True)
    for index, (_, query) in enumerate(dashboard.queries):
        assert fields[f"g{index}.expr"] == [pages.concrete(query)]
        promql_parser.parse(pages.concrete(query))


@every_dashboard
def test_vmui_gets_a_name_for_each_expression(dashboard: Dashboard) -> None:
    for row in pages.vmui(dashboard)["rows"]:
        for panel in row["panels"]:
            assert len(panel["expr"]) == len(panel["alias"])
            assert all(panel["alias"])
            assert 1 <= panel["width"] <= 12


# Pictures.


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9534, "percentunit", "95.3 %"),
        (0.00042, "currencyEUR", "€0.00042"),
        (1632.081, "currencyEUR", "€1,632.08"),
        (0, "currencyEUR", "€0.00"),
        (0.0123, "s", "12.3 ms"),
        (2.5, "s", "2.5 s"),
        (600, "s", "10 min"),
        (210e6, "bytes", "210 MB"),
        (4500, "Bps", "4.5 kB/s"),
        (12.34, "reqps", "12.3/s"),
        (142289, "short", "142,289"),
        (1, "short", "1"),
    ],
)
def test_values_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert formatted(value, unit) == text


def test_a_label_that_is_absent_leaves_no_gap_in_a_name() -> None:
    assert named(Query("x", "{{a}} {{b}} {{c}}"), Series({"a": "1", "c": "3"}, ())) == "1 3"


# Provisioning.


def test_grafana_finds_the_dashboards_and_the_traces_of_exemplars() -> None:
    files = (PROVISIONING / "datasources").glob("*.yaml")
    sources = [source for file in files for source in yaml.safe_load(file.read_text())["datasources"]]
    uids = {source["uid"]: source["type"] for source in sources}
    assert {"prometheus", "jaeger"} <= {*uids.values()}
    (prometheus,) = (source for source in sources if source["type"] == "prometheus")
    for destination in prometheus["jsonData"]["exemplarTraceIdDestinations"]:
        assert uids[destination["datasourceUid"]] == "jaeger"
    (jaeger,) = (source for source in sources if source["type"] == "jaeger")
    assert jaeger["jsonData"]["tracesToLogsV2"]["datasourceUid"] in uids
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/sprat.yaml").read_text())["providers"]
    assert provider["type"] == "file"
