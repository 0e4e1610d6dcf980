"""An open transaction holds back the last stable offset; records that only just arrived do not."""

from aiokafka import TopicPartition

from sprat.kafka.lag import LagSnapshot, StableOffsets

ONE, TWO = (TopicPartition("texts", number) for number in range(2))


def held(stable, at_s, ends, high):
    return stable.held_s(LagSnapshot(at_s, {}, ends), high)


def test_it_is_held_for_as_long_as_it_does_not_move():
    stable = StableOffsets()
    assert held(stable, 100.0, {ONE: 5, TWO: 9}, {ONE: 7, TWO: 9}) == {"texts": 0}
    assert held(stable, 110.0, {ONE: 5, TWO: 20}, {ONE: 70, TWO: 20}) == {"texts": 10}
    assert held(stable, 125.0, {ONE: 5, TWO: 20}, {ONE: 70, TWO: 21}) == {"texts": 25}
    assert held(stable, 130.0, {ONE: 70, TWO: 20}, {ONE: 70, TWO: 21}) == {"texts": 5}
    assert held(stable, 140.0, {ONE: 70, TWO: 21}, {ONE: 70, TWO: 21}) == {"texts": 0}


def test_one_that_moves_and_is_behind_again_is_another_transaction():
    stable = StableOffsets()
    assert held(stable, 100.0, {ONE: 5}, {ONE: 7}) == {"texts": 0}
    assert held(stable, 110.0, {ONE: 7}, {ONE: 9}) == {"texts": 0}
    assert held(stable, 120.0, {ONE: 9}, {ONE: 9}) == {"texts": 0}
    assert held(stable, 130.0, {ONE: 9}, {ONE: 10}) == {"texts": 0}
