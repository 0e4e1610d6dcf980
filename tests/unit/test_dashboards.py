"""The dashboards: the committed files are what the declarations give, and name only what the registry declares."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from observability.dashboards import grafana, promql
from observability.dashboards.generate import DASHBOARDS, committed, generated
from observability.dashboards.panels import COLUMNS, DEFAULTS, Dashboard, Query, concrete, variables_in
from sprat.telemetry import signals
from support.promql import declared, selected, undeclared
from support.sources import ROOT

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
        for mistake in undeclared(concrete(query), PROMETHEUS)
    } == set()


@pytest.mark.parametrize("expr", [grafana.FIRING, grafana.CHANGED])
def test_annotations_name_only_what_there_is(expr: str) -> None:
    assert undeclared(expr, PROMETHEUS) == []


def test_every_metric_is_on_a_dashboard() -> None:
    names = {
        each.name for dashboard in DASHBOARDS for _, query in dashboard.queries for each in selected(concrete(query))
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
        'sum(sprat_results_total{sprat_decision="keptt"})',
        'sum(sprat_results_total{sprat_status=~"degraded|unansered"})',
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
    assert concrete(query, rate="20s", values={"price": "0.5", "task": "ner"}) == (
        '0.5 * sum(rate(sprat_pairs_total{sprat_task=~"ner"}[20s]))'
    )


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
