"""Grafana's classic JSON from the declarations."""

from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as styles
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from observability.dashboards.panels import (
    BAR_STEP,
    COLUMNS,
    INSTANT,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    variables_of,
)
from observability.dashboards.promql import SERVICE, label
from observability.dashboards.service import SERVICE_PAGE
from sprat.telemetry import attributes, signals

SCHEMA_VERSION: Final = 42
"""The SDK writes 41. The step to 42 changes `hideFrom` alone, which no panel has."""
TAG: Final = "sprat"

_METRICS: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_TRACES_PANE: Final = (
    '{"traces":{"datasource":"${traces}","queries":[{"refId":"A","queryType":"search","service":"sprat-router"}],'
    '"range":{"from":"${__from}","to":"${__to}"}}}'
)
_BUILD: Final = (
    f"count by ({SERVICE}, {label(attributes.VERSION)}, {label(attributes.MODEL)}, {label(attributes.MODEL_VERSION)}) "
    f"({signals.BUILD.prometheus})"
)
_SERVICE_SERIES: Final = f"{{{{{SERVICE}}}}}"
FIRING: Final = 'ALERTS{alertstate="firing"}'
CHANGED: Final = f"{_BUILD}\n  unless {_BUILD.removesuffix(')')} offset 5m)"
"""Versions that did not run five minutes ago."""

_Shown = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | heatmap.Panel


def to_json(dashboard: Dashboard) -> str:
    """Return the text of a dashboard's file."""
    built = _builder(dashboard).build()
    built.schema_version = SCHEMA_VERSION
    built.annotations = models.AnnotationContainer(
        [
            _Annotation("Alerts", FIRING, "red", "{{alertname}}", "{{severity}}"),
            _Annotation("Versions", CHANGED, "blue", "{{service_name}} {{service_version}}", "{{sprat_model_version}}"),
        ]
    )
    return JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(built) + "\n"


class _Annotation(models.AnnotationQuery):
    """An annotation by Prometheus, whose texts the SDK's model does not have."""

    def __init__(self, name: str, expr: str, colour: str, title: str, text: str) -> None:
        super().__init__(name=name, datasource=_METRICS, icon_color=colour, expr=expr)
        self.title, self.text = title, text

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self.title, "textFormat": self.text, "step": "60s"}


def _builder(dashboard: Dashboard) -> builders.Dashboard:
    page = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags([TAG])
        .editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .timezone("browser")
        .refresh("30s")
        .with_variable(
            builders.DatasourceVariable("datasource").label("Metrics").type("prometheus").description("Prometheus")
        )
        .with_variable(builders.DatasourceVariable("traces").label("Traces").type("jaeger").description("Jaeger"))
        .link(
            builders.DashboardLink("Sprat")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
        .link(
            builders.DashboardLink("Traces")
            .type(models.DashboardLinkType.LINK)
            .icon("external link")
            .tooltip("Traces of the chosen time range")
            .url(f"/explore?schemaVersion=1&panes={quote(_TRACES_PANE, safe='${}')}")
        )
    )
    for variable in variables_of(dashboard):
        page = page.with_variable(_variable(variable))
    for number, (part, x, y) in enumerate(dashboard.places, 1):
        if isinstance(part, Row):
            page = page.with_row(builders.Row(part.title).id(number).grid_pos(models.GridPos(h=1, w=COLUMNS, x=x, y=y)))
        else:
            place = models.GridPos(h=part.height, w=part.width, x=x, y=y)
            page = page.with_panel(_panel(part).id(number).grid_pos(place))
    return page


def _variable(variable: Variable) -> builders.QueryVariable | builders.CustomVariable:
    if variable.metric:
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        return (
            builders.QueryVariable(variable.name)
            .label(variable.title)
            .description(variable.description)
            .datasource(_METRICS)
            .query({"query": f"label_values({variable.metric}, {variable.label})", "refId": variable.name})
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(variable.default)
            .current(everything)
        )
    measured = models.VariableOption(selected=True, text="measured", value=variable.default)
    return (
        builders.CustomVariable(variable.name)
        .label(variable.title)
        .description(variable.description)
        .values(f"measured : {variable.default}")
        .allow_custom_value(allow_custom_value=True)
        .options([measured])
        .current(measured)
    )


def _panel(panel: Panel) -> _Shown:
    shown = _looks(panel)
    for index, query in enumerate(panel.queries):
        shown = shown.with_target(_target(panel, query).ref_id(chr(ord("A") + index)))
    shown = shown.title(panel.title).description(panel.description).datasource(_METRICS).no_value(panel.without_data)
    if not isinstance(shown, heatmap.Panel):
        shown = shown.unit(panel.unit).thresholds(_thresholds(panel))
    if panel.digits is not None:
        shown = shown.decimals(panel.digits)
    if panel.names:
        texts = {f"{value:g}": models.ValueMappingResult(text=text) for value, text in panel.names.items()}
        shown = shown.mappings([models.ValueMap(options=texts)])
    if any(_SERVICE_SERIES in query.legend for query in panel.queries):
        shown = shown.data_links(
            [
                builders.DashboardLink("The service")
                .type(models.DashboardLinkType.LINK)
                .url(f"/d/{SERVICE_PAGE.uid}?${{__url_time_range}}&var-service=${{__field.labels.{SERVICE}}}")
            ]
        )
    if panel.see:
        shown = shown.links(
            [
                builders.DashboardLink("More")
                .type(models.DashboardLinkType.LINK)
                .url(f"/d/{panel.see}?${{__url_time_range}}&${{__all_variables}}")
            ]
        )
    return shown


def _target(panel: Panel, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).datasource(_METRICS)
    if query.legend:
        target = target.legend_format(query.legend)
    if panel.kind in INSTANT:
        return target.instant()
    if panel.kind == "heatmap":
        return target.range().format(PromQueryFormat.HEATMAP)
    return target.range().exemplar("_bucket" in query.expr)


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    base = panel.base if panel.steps else "text"
    steps = [
        models.Threshold(value=None, color=base),
        *(models.Threshold(value, colour) for value, colour in panel.steps),
    ]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _looks(panel: Panel) -> _Shown:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    shown: _Shown
    match panel.kind:
        case "number":
            shown = (
                stat.Panel()
                .reduce_options(last)
                .color_mode(styles.BigValueColorMode.VALUE)
                .graph_mode(styles.BigValueGraphMode.NONE)
            )
        case "ranking":
            shown = (
                bargauge.Panel()
                .reduce_options(last)
                .orientation(styles.VizOrientation.HORIZONTAL)
                .display_mode(styles.BarGaugeDisplayMode.BASIC)
                .color_scheme(builders.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("blue"))
                .min(0)
            )
        case "table":
            shown = table.Panel()
        case "heatmap":
            shown = heatmap.Panel().interval(BAR_STEP)
        case "lines":
            shown = _over_time().fill_opacity(5)
        case "stacked":
            shown = _stacked(_over_time()).fill_opacity(50)
        case "bars":
            shown = _stacked(_over_time()).fill_opacity(80).interval(BAR_STEP).draw_style(styles.GraphDrawStyle.BARS)
    return shown


def _stacked(shown: timeseries.Panel) -> timeseries.Panel:
    return shown.stacking(common.StackingConfig().mode(styles.StackingMode.NORMAL))


def _over_time() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .show_points(styles.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(styles.LegendDisplayMode.TABLE)
            .placement(styles.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(styles.TooltipDisplayMode.MULTI).sort(styles.SortOrder.DESCENDING))
    )
