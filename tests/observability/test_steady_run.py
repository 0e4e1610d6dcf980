"""Without a fault: nothing fires, a text is found with every hop, totals are those of the topics, nothing leaks."""

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import httpx
import pytest

from sprat_contracts import TASKS, Result, TextSubmitted, decode
from sprat_local.observe.programs import JAEGER, VICTORIA_LOGS
from support.observed import ObservedRun, attributes_of, frozen, wait_until
from support.stream import read_all
from support.traffic import record

pytestmark = pytest.mark.timeout(240)

SERVICES = {"router", "intent", "ner", "translation", "frontier"}
WARM_TEXTS = 240
"""Of all kinds, before anything is asked."""
PART = 12
"""So many consecutive letters and digits of a secret are a leak."""


@pytest.fixture(scope="module")
def settled_run(run: ObservedRun) -> ObservedRun:
    """Return the run after some traffic, when everything has its Results."""
    wait_until(lambda: run.traffic.sent >= WARM_TEXTS, 120, lambda: run.traffic.sent)
    run.settle()
    return run


def topic(run: ObservedRun, *names: str) -> list[Any]:
    return asyncio.run(read_all(run.installation.bootstrap, *names))


def results(run: ObservedRun) -> list[Result]:
    names = [run.installation.topics.results(task) for task in TASKS]
    return [decode(record, Result).message for record in topic(run, *names)]


def test_every_service_is_scraped_and_no_alert_calls_anybody(settled_run: ObservedRun) -> None:
    """But for the start: the rules wait a twentieth of the time that they give a service in production."""
    assert settled_run.prometheus.targets() == dict.fromkeys(SERVICES, "up")
    pages = {
        sample.labels["alertname"]
        for sample in settled_run.prometheus.query(
            'max by (alertname) (max_over_time(ALERTS{alertstate="firing", severity="page"}[25s]))'
        )
    }
    assert pages == set()


def test_the_totals_of_metrics_are_the_counts_in_the_topics(settled_run: ObservedRun) -> None:
    value, topics = settled_run.prometheus.value, settled_run.installation.topics
    found = results(settled_run)
    kinds = Counter((result.task, result.route.decision, result.status) for result in found)
    assert len(kinds) >= 6, kinds  # kept, escalated, degraded or unanswered
    counted = settled_run.prometheus.query("sum by (sprat_task, sprat_decision, sprat_status) (sprat_results_total)")
    assert {
        (each.labels["sprat_task"], each.labels["sprat_decision"], each.labels["sprat_status"]): each.value
        for each in counted
    } == dict(kinds)
    assert value("sum(sprat_pairs_total)") == len(found)
    letters = topic(settled_run, topics.dead_letters)
    assert value("sum(sprat_dead_letters_total)") == len(letters) > 2

    assert any(result.tenant == "stranger" for result in found)
    for counter in ("sprat_pairs_total", "sprat_escalations_total"):  # of the router and of the frontier
        tenants = {each["sprat_tenant"] for each in settled_run.prometheus.series(counter)}
        assert tenants - {"default"} == {"acme-bank", "careful", "other"}

    records = [json.loads(record.value) for record in topic(settled_run, topics.egress)]
    attempts = [each for each in records if each["phase"] == "attempt"]
    assert value("sum(sprat_egress_calls_total)") == len(attempts) > 10
    assert value("sum(sprat_egress_size_bytes_total)") == sum(each["bytes_out"] for each in attempts)
    cost = sum(each["cost_eur"] for each in records if each["phase"] == "outcome")
    assert value("sum(sprat_cost_total)") == pytest.approx(cost, rel=1e-6)
    assert cost > 0
    masked: Counter[str] = Counter()
    for each in attempts:
        masked.update(each["masked"])
    by_type = settled_run.prometheus.query("sum by (sprat_masked_type) (sprat_masked_items_total)")
    assert {each.labels["sprat_masked_type"]: each.value for each in by_type} == dict(masked)


def test_lag_is_the_same_in_sprat_lag_in_metrics_and_in_prometheus(run: ObservedRun) -> None:
    run.settle()
    with frozen(run, "ner"):
        for number in range(40):
            value, headers = run.traffic.mix.event(60_004 + 60 * number)
            run.traffic.publish(value, headers, str(number))
        group = f"{run.installation.topics.prefix}.ner.default"
        query = f'sum(sprat_group_lag{{messaging_consumer_group_name="{group}"}})'
        wait_until(lambda: run.prometheus.value(query) == 40, 30, lambda: run.prometheus.query("sprat_group_lag"))
        command = [sys.executable, "-m", "sprat_cli", "lag", "--json", "--over", "0.5"]
        said = subprocess.run(
            [*command, "--bootstrap", run.installation.bootstrap], capture_output=True, text=True, check=False
        ).stdout
        router = run.installation.processes["router"].port
        metrics = httpx.get(f"http://127.0.0.1:{router}/metrics", timeout=10).text
    lines = [line for line in metrics.splitlines() if line.startswith("sprat_group_lag{") and f'"{group}"' in line]
    assert sum(float(line.split()[1]) for line in lines) == 40
    rows = [json.loads(line) for line in said.splitlines()]
    assert [row["lag"] for row in rows if (row["type"], row["group"]) == ("group", "ner.default")] == [40], rows


HOPS = (
    ("sprat-router", "accept {texts}"),
    ("sprat-translation", "process {texts}"),
    ("sprat-translation", "send {predictions}"),
    ("sprat-router", "process {predictions}"),
    ("sprat-router", "send {requests}"),
    ("sprat-frontier", "process {requests}"),
    ("sprat-frontier", "send {answers}"),
    ("sprat-router", "process {answers}"),
    ("sprat-router", "send {results}"),
)
"""The way of an escalated text: each span is the parent of the next."""


def test_a_text_is_found_by_its_id_with_every_hop(settled_run: ObservedRun) -> None:
    run, topics = settled_run, settled_run.installation.topics
    id = "the-text-to-find"
    value = {"text": "Je m'appelle Jean Dupont.", "language": "fr", "tasks": {"translation": {"target": "fi"}}}
    run.traffic.publish(*record("/tests/trace", id, value | {"tenant": "careful"}))
    name = topics.results("translation")
    found: list[str] = []

    def answered() -> bool:
        mine = [each for each in topic(run, name) if decode(each, Result).message.text_id == id]
        found.extend(dict(each.headers)["traceparent"].decode().split("-")[1] for each in mine)
        return bool(found)

    wait_until(answered, 30, lambda: f"no Result for {id}")
    names = {
        "texts": topics.texts,
        "predictions": topics.predictions("translation"),
        "requests": topics.frontier_requests,
        "answers": topics.frontier_answers,
        "results": name,
    }

    def complete() -> bool:
        """Return whether each service has exported its last span of the trace, and the polls that its spans link to."""
        mine = [each for each in run.spans() if each["traceId"] == found[0]]
        polls = {each["spanId"] for each in run.spans() if each["name"] == "poll"}
        links = {link["spanId"] for each in mine for link in each.get("links", ())}
        hops = {(service, hop.format(**names)) for service, hop in HOPS}
        return hops <= {(each["service"], each["name"]) for each in mine} and links <= polls

    wait_until(complete, 30, lambda: sorted(each["name"] for each in run.spans() if each["traceId"] == found[0]))
    everything = run.spans()
    spans = {each["spanId"]: each for each in everything if each["traceId"] == found[0]}
    roots = [each for each in spans.values() if not each.get("parentSpanId")]
    assert [(each["service"], each["name"]) for each in roots] == [("sprat-router", f"accept {topics.texts}")]
    assert [each["name"] for each in spans.values() if each.get("parentSpanId", "") not in {"", *spans}] == []
    assert id in {attributes_of(each).get("messaging.message.id") for each in roots}

    last = next(each for each in spans.values() if each["name"] == f"send {name}")
    way = [last]
    while parent := way[-1].get("parentSpanId"):
        way.append(spans[parent])
    assert [(each["service"], each["name"]) for each in reversed(way)] == [
        (service, hop.format(**names)) for service, hop in HOPS
    ]

    inside = next(each for each in spans.values() if each["name"] == f"process {topics.frontier_requests}")
    children = Counter(each["name"] for each in spans.values() if each.get("parentSpanId") == inside["spanId"])
    assert children["mask"] == 1
    assert children[f"send {topics.egress}"] == 2
    chat = next(each for each in spans.values() if each["name"].startswith("chat "))
    assert chat["parentSpanId"] == inside["spanId"]
    assert [each["name"] for each in spans.values() if each.get("parentSpanId") == chat["spanId"]] == ["POST"]

    polls = {each["spanId"]: each for each in everything if each["name"] == "poll"}
    for each in spans.values():
        if each["name"].startswith("process "):
            (link,) = each["links"]
            assert polls[link["spanId"]]["service"] == each["service"], each["name"]
            assert found[0] in {back["traceId"] for back in polls[link["spanId"]]["links"]}, each["name"]

    if run.runs(JAEGER):

        def shown() -> list[dict[str, Any]]:
            answer = httpx.get(run.url(JAEGER, f"/api/traces/{found[0]}"), timeout=10).json()
            return [each for trace in answer["data"] or () for each in trace["spans"]]

        # The collector hands a trace on a second or two after its first span.
        wait_until(lambda: {each["spanID"] for each in shown()} == spans.keys(), 20, shown)
        warnings = [warning for each in shown() for warning in each["warnings"] or ()]
        # A record may be polled before its sender knows that it is acknowledged; Jaeger takes that for two clocks.
        assert [warning for warning in warnings if not warning.startswith("clock skew adjustment disabled")] == []


def test_nothing_of_a_secret_is_in_any_span_log_line_or_label(settled_run: ObservedRun) -> None:
    run = settled_run
    spans, lines = run.spans(), run.log_records()
    labels = run.prometheus.series('{job="sprat"}')
    files = [path.read_text("utf-8") for path in run.installation.logs.glob("*.log")]
    assert (len(spans) > 1000, len(lines) > 10, len(labels) > 100) == (True, True, True), (len(spans), len(lines))
    everything = "\n".join([*(json.dumps(each, ensure_ascii=False) for each in (*spans, *lines, *labels)), *files])
    if run.runs(VICTORIA_LOGS):
        shown = httpx.get(run.url(VICTORIA_LOGS, "/select/logsql/query"), params={"query": "*"}, timeout=20).text
        assert shown.count("\n") > 10
        everything += shown
    squeezed = plain(everything)

    planted = list(run.traffic.mix.planted.values())
    secrets = [secret for one in planted for secret in one.secrets]
    assert len(secrets) > 30
    leaks = [
        secret.kind
        for secret in secrets
        if (secret.value in everything if secret.kind == "name" else leaked(plain(secret.value), squeezed))
    ]
    assert leaks == []
    texts = [each.message.text for each in (decode(one, TextSubmitted) for one in valid_texts(run))]
    assert len(texts) > 150
    assert [text for text in texts if text in everything] == []


def valid_texts(run: ObservedRun) -> list[Any]:
    return [each for each in topic(run, run.installation.topics.texts) if each.value.startswith(b"{")]


def plain(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", text)


def leaked(value: str, text: str) -> bool:
    """Return whether a value or a large part of it is in the text; shorter parts are in ids by chance."""
    return any(value[at : at + PART] in text for at in range(max(1, len(value) - PART + 1)))
