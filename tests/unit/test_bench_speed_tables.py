"""What the tables of speed state and leave out, and on which texts Sprat is measured beside the peers."""

import pytest

from support import training_files
from tests.bench import speed_tables
from tests.bench.peers.systems import Sprat


def on(cpu, others):
    return {
        "cpu_s_per_1000": {"intent": cpu, "router": 0.5},
        "broker_cpu_s_per_1000": 0.5,
        "others_cores": others,
        "half_load": {"per_s": 50.0, "p50": 0.0123, "p99": 0.0456},
    }


def figures(others):
    systems = {
        "sprat-en-fast": {"title": "Sprat", "clinc150": on(1.0, others), "banking77": on(2.0, others)},
        "rival": {"title": "a rival", "clinc150": on(0.5, others), "banking77": on(4.0, others)},
    }
    for system in systems.values():
        system |= {"memory_mb": {"intent": 180.0, "router": 70.0}, "first_answer_s": 1.5}
    return {
        "systems": systems,
        "texts": {"clinc150": 10, "banking77": 10},
        "words": {"clinc150": 8.0, "banking77": 12.0},
        "machine": dict.fromkeys(("cores", "cpu", "memory_gb", "python", "kafka", "load_before"), 2),
        "versions": {"torch": "1"},
        "commit": "abc",
        "date": "2026-01-01",
        "bare": {},
        "crashes": {},
        "masking": {},
    }


def test_a_peer_that_needs_less_cpu_is_named_with_how_much_less():
    table = speed_tables.peers(figures(others=0.0))

    assert "CLINC150, `en-fast`, its service: more CPU than a rival (2.00 times)." in table
    assert "CLINC150, `en-fast`, all its processes and Kafka: more CPU than a rival (1.33 times)." in table
    assert "BANKING77, `en-fast`, its service: no peer needs less CPU." in table


def test_beside_the_plain_loop_with_the_same_runtime_the_cpu_of_kafka_does_not_count():
    given = figures(others=0.0)
    given["systems"]["ctranslate2-32"] = given["systems"].pop("rival")

    assert "with router and Redis, Kafka apart: 0.67, 1.80 times a rival (aim 1.2)." in speed_tables.peers(given)


def test_on_a_quiet_machine_times_are_stated():
    table = speed_tables.peers(figures(others=0.1))

    assert "| a rival | 2,000, 250 | 1,000, 222 | 667, 200 | 12 / 46 at 50, 12 / 46 at 50 | 180 | 1.5 |" in table
    assert "stated only where" not in table


def test_beside_busy_programs_no_time_is_stated_and_the_page_says_why():
    table = speed_tables.peers(figures(others=0.9))

    assert "| a rival | 2,000, 250 | 1,000, 222 | 667, 200 | –, – | 180 | – |" in table
    assert "Times are stated only where other programs used at most 0.3 cores." in table
    assert "Other programs used 0.9 to 0.9 of its cores meanwhile." in table


@pytest.mark.parametrize(("lost", "doubled"), [((0, 3), (1, 4))])
def test_what_each_kill_lost_and_doubled_is_added_up(lost, doubled):
    rounds = [
        {"texts": 100, "lost": gone, "doubled": twice, "silent_s": 9.0}
        for gone, twice in zip(lost, doubled, strict=True)
    ]
    given = figures(0.0) | {"crashes": {"one": {"title": "a loop", "rounds": rounds}}}

    assert "| a loop | 2 | 200 | 3 | 5 | 9.0 |" in speed_tables.peers_killed(given)


def test_sprat_gets_the_texts_of_the_set_that_is_measured(tmp_path):
    both = ["one of the first set", "one of the second set"]
    system = Sprat("127.0.0.1:1", both, tmp_path, training_files.EN_FAST)
    system.given = both[1:]
    values = [system.record(number)[1].decode() for number in range(3)]
    assert all("one of the second set" in value for value in values)
