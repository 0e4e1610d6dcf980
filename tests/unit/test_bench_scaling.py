"""What is computed from the measurements of scaling, and which of a service's lines count as a rebalance."""

import json
from pathlib import Path

import pytest

from sprat_contracts import TextSubmitted, decode
from sprat_local.bench.measure import Load, Sent, TextEnd
from support.wire_records import plain
from tests.bench import benchmarks_page, scaling_tables
from tests.bench.scaling_loads import SpreadMessages, by_service, rebalances, summary, waits


def line(message: str) -> str:
    return json.dumps({"level": "info", "message": message})


def test_the_pauses_of_all_instances_are_found_in_their_logs_and_those_of_other_services_are_not(
    tmp_path: Path,
) -> None:
    log = "\n".join([line("rebalanced in 0.52 s: this member has 3 partitions"), "no JSON", line("ready")])
    for name in ("intent", "intent#2", "router", "ner"):
        (tmp_path / f"{name}.log").write_text(log, "utf-8")

    assert rebalances(tmp_path) == {"intent": [0.52, 0.52], "router": [0.52]}


def test_pauses_are_summarised_and_none_is_no_pause_of_zero() -> None:
    assert summary([0.1, 0.3, 0.2]) == {"count": 3, "p50_s": 0.2, "max_s": 0.3}
    assert summary([]) == {"count": 0, "p50_s": None, "max_s": None}


def test_waits_count_what_is_late_and_what_never_came() -> None:
    ends = [10.1, 10.2, 12.9, None]
    sent = [Sent(None, 10.0, 0, None if at is None else TextEnd(at, 0, declined=False)) for at in ends]
    found = waits(Load(sent, {}))

    assert (found["texts"], found["unended"], found["longer_than_2_s"]) == (4, 1, 2)
    assert found["longest_silence_ms"] == pytest.approx(2700)
    assert found["p50_ms"] == pytest.approx(200)
    assert found["max_ms"] is None


def test_instances_and_models_of_a_service_count_together_and_the_client_does_not() -> None:
    used = {"intent": 1.0, "intent#2": 2.0, "intent.m2": 3.0, "router": 0.5, "sprat bench": 9.0}

    assert by_service(used, 1000) == {"intent": 6.0, "router": 0.5}


def test_texts_are_spread_over_models_and_tenants_and_none_is_like_another() -> None:
    messages = SpreadMessages(["default", "m2"], tenants=3)
    records = messages.records(range(2000))
    texts = [decode(plain(each.value, headers=each.headers), TextSubmitted).message for each in records]

    assert len({text.text for text in texts}) == 2000
    assert [text.tasks.intent.model for text in texts[:3]] == ["default", "m2", "default"]
    assert {text.tenant for text in texts} == {"tenant-0", "tenant-1", "tenant-2"}
    assert {text.frontier for text in texts} == {"deny"}


def test_a_cost_that_grows_is_stated_for_each_and_a_flat_one_is_not() -> None:
    assert scaling_tables.slope(1, 8, [1.0, 1.2, 1.7]) == "From 1 to 8: 1.70 times the CPU, 0.100 ms for each."
    assert scaling_tables.slope(1, 1000, [2.0, 2.02]) == "From 1 to 1,000: 1.01 times the CPU."


def test_a_million_texts_a_minute_follow_from_the_cost_of_one() -> None:
    row = {
        "kind": "intent",
        "cpu_s_per_1000": {"intent": 1.0, "router": 0.5, "kafka": 0.24, "redis": 0.02},
        "bytes_per_text": {"texts": 200, "results": 800, "unkept": 0},
    }
    table = scaling_tables.million({"rows": [row], "retention_days": {"texts": 7.0, "results": 7.0}})

    assert "| `intent` | 16,667 × 1.00 ms = 16.7 cores | 25 instances of one core |" in table
    assert "| Kafka, three copies | 16,667 × (0.24 + 0.36) ms = 10.0 cores | 3 brokers of 8 cores |" in table
    assert "| 32 |" in table
    assert "17 MB a second, 50 with three copies" in table
    assert "30,240 GB" in table
    assert "| 1,380 + 1,512 |" in table


def test_a_part_that_was_not_measured_says_how_to_measure_it_and_the_others_are_tables() -> None:
    pauses = {"intent": {"count": 4, "p50_s": 0.1, "max_s": 0.25}, "router": {"count": 0, "p50_s": None, "max_s": None}}
    restart = {"service": "intent", "instances": 2, "texts": 900, "per_s": 30.0, "longer_than_2_s": 1, "repeats": 3}
    restart |= {"p50_ms": 20.4, "p99_ms": 900.0, "max_ms": None, "longest_silence_ms": 250.0, "rebalances": pauses}
    machine = dict.fromkeys(("cores", "cpu", "python", "kafka"), 2)
    saved = {
        "sizing": benchmarks_page.read("sizing"),
        "scaling-restart": {"machine": machine, "share": 0.1, "rows": [restart]},
    }

    def read(name: str) -> object:
        if name not in saved:
            raise FileNotFoundError(name)
        return saved[name]

    found = scaling_tables.scaling(read)
    assert (
        "| `intent` | 2 | 900 at 30/s | 20 / 900 | – | 1 | 250 | 4, intent 0.10 / 0.25 | 3 |"
        in found["scaling-restart"]
    )
    said = "The longest of 4 pauses was 0.25 s: within 2 s, another way to assign partitions is not needed."
    assert said in found["scaling-restart"]
    assert "**A short run**, 0.1 of the texts and seconds." in found["scaling-restart"]
    assert found["scaling-models"] == "Not measured yet: `make bench-scaling ONLY=models`."
