"""How much of the stream the page reads whole, and what that costs."""

from dataclasses import replace

import pytest

from sprat_contracts.topics import Topics
from sprat_gateway.page.cost import BUDGET_S, CostMeter
from sprat_gateway.page.records import RecordReader, TextSample
from sprat_gateway.page.schema import open_writer
from sprat_gateway.page.writing import StoreWriter
from support.speed import cpu_s
from support.traced_records import TracedText


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("sprat_gateway.page.cost.time.monotonic", lambda: self.now)


def after(meter, clock, cost_s, *, texts=1_000, seconds=1.0):
    """Return of how many texts one is read whole after so many that cost so much for each 1,000."""
    meter.add(texts, 0, cost_s * texts / 1_000)
    clock.now += seconds
    return meter.one_in()


def test_it_leaves_out_more_until_the_budget_is_kept_and_less_when_it_may(monkeypatch):
    clock = Clock(monkeypatch)
    meter = CostMeter()
    assert [after(meter, clock, cost) for cost in (0.1, 0.3, 0.3, 0.1, 0.01, 0.01, 0.01)] == [1, 2, 4, 4, 2, 1, 1]
    assert [after(meter, clock, 9.0) for _ in range(8)][-1] == 64


def test_few_texts_a_second_are_all_read_whole_whatever_they_cost(monkeypatch):
    clock = Clock(monkeypatch)
    meter = CostMeter()
    assert after(meter, clock, 0.3) == 2
    assert after(meter, clock, 9.0, seconds=100.0) == 1


def test_records_count_what_the_client_needs_for_them(monkeypatch):
    clock = Clock(monkeypatch)
    meter = CostMeter()
    meter.add(1_000, 20_000, 0.0)
    clock.now += 1.0
    assert meter.one_in() == 2


@pytest.mark.parametrize(("one_in", "at_most_s"), [(1, BUDGET_S), (8, BUDGET_S / 2)])
def test_what_1000_texts_cost(tmp_path, one_in, at_most_s):
    """The least of some measurements: what else happens on the core only adds."""
    assert min(cost_of_1000(tmp_path / str(number), one_in) for number in range(3)) <= at_most_s


def cost_of_1000(folder, one_in):
    texts = 2_000
    records = []
    for number in range(texts):
        text = TracedText(f"order-{number}")
        text.place = (text.topics.texts, number % 8, number)
        each = [text.text(), text.prediction(), text.result(decision="kept")]
        records += [replace(record, partition=number % 8, offset=number) for record in each]
    sample = TextSample()
    sample.one_in = one_in
    folder.mkdir()
    reader, writer = RecordReader(Topics(), {}, sample), StoreWriter(open_writer(folder), whole=True)

    def work():
        for start in range(0, len(records), 300):
            batch = records[start : start + 300]
            writer.write([row for record in batch for row in reader.read(record)], {})

    took = cpu_s(work) * 1_000 / texts
    writer.connection.close()
    return took
