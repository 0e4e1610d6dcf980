"""The topics: the figures that DESIGN.md promises."""

import pytest

from sprat_contracts import TASKS, TextSubmitted, Topics

KIB, MIB, DAY_MS = 1024, 1024 * 1024, 24 * 60 * 60 * 1000

TABLE = {
    "texts.v1": ("delete", 7, 512 * KIB),
    **{f"predictions.{task}.v1": ("delete", 2, 2 * MIB) for task in TASKS},
    "frontier.requests.v1": ("delete", 2, 2 * MIB),
    "frontier.answers.v1": ("delete", 2, 2 * MIB),
    **{f"results.{task}.v1": ("delete", 7, 2 * MIB) for task in TASKS},
    "models.v1": ("compact", None, 1 * MIB),
    "dead-letters.v1": ("delete", 14, 3 * MIB),
    "audit.egress.v1": ("delete", 400, 1 * MIB),
    "feedback.v1": ("delete", 400, 1 * MIB),
    "reviews.v1": ("delete", 7, 2 * MIB),
    "reviews.closed.v1": ("delete", 400, 64 * KIB),
    "alarms.v1": ("compact", None, 64 * KIB),
}


@pytest.mark.parametrize("prefix", ["sprat", "acme.eu"])
def test_the_table_has_the_promised_names_and_figures(prefix: str) -> None:
    told = {
        topic.name: (topic.cleanup, topic.retention_ms and topic.retention_ms / DAY_MS, topic.max_record_bytes)
        for topic in Topics(prefix).table()
    }
    assert told == {f"{prefix}.{name}": figures for name, figures in TABLE.items()}


def test_names_are_those_of_the_table() -> None:
    topics = Topics()
    named = [
        topics.texts,
        *map(topics.predictions, TASKS),
        topics.frontier_requests,
        topics.frontier_answers,
        *map(topics.results, TASKS),
        topics.models,
        topics.dead_letters,
        topics.egress,
        topics.feedback,
        topics.reviews,
        topics.reviews_closed,
        topics.alarms,
    ]
    assert [topic.name for topic in topics.table()] == named


def test_texts_predictions_and_results_have_equally_many_partitions_and_what_needs_one_order_has_one() -> None:
    partitions = {topic.name: topic.partitions for topic in Topics(partitions=12).table()}
    assert {partitions.pop(f"sprat.{name}.v1") for name in ("models", "reviews", "reviews.closed", "alarms")} == {1}
    assert set(partitions.values()) == {12}
    assert Topics().partitions == 8


def test_the_brokers_clock_holds_on_every_topic() -> None:
    for topic in Topics().table():
        config = topic.config()
        assert config["message.timestamp.type"] == "LogAppendTime"
        assert config["cleanup.policy"] == topic.cleanup
        assert config["compression.type"] == "producer", "the broker unpacks nothing into its heap"
        assert ("retention.ms" in config) == (topic.cleanup == "delete")


def test_a_record_stands_for_an_eighth_of_its_time_longer_at_most_and_never_for_more_than_a_week() -> None:
    for topic in Topics().table():
        config = topic.config()
        if topic.retention_ms is None:
            assert "segment.ms" not in config
        else:
            assert int(config["segment.ms"]) == min(topic.retention_ms // 8, 7 * DAY_MS)


def test_a_tombstone_outlives_the_texts_before_it_and_the_offsets_of_its_group() -> None:
    kept_ms = {topic.name: topic.config().get("delete.retention.ms") for topic in Topics().table()}
    texts_ms = next(topic.retention_ms for topic in Topics().table() if topic.name == "sprat.texts.v1")
    offsets_ms = 7 * DAY_MS  # the default of offsets.retention.minutes, from the day on which the service stops

    assert int(kept_ms.pop("sprat.models.v1") or 0) > (texts_ms or 0) + offsets_ms
    kept_ms.pop("sprat.alarms.v1")  # like every compacted topic; an alarm has no tombstone
    assert set(kept_ms.values()) == {None}


def test_the_brokers_limit_leaves_room_for_a_batch_of_librdkafka_and_for_the_largest_record() -> None:
    for topic in Topics().table():
        assert int(topic.config()["max.message.bytes"]) == max(topic.max_record_bytes, 1024 * KIB)
    assert TextSubmitted.max_bytes == 512 * KIB, "the contract's limit of a text is judged when it is read"


def test_a_dead_letter_has_room_for_the_largest_record_and_its_reason() -> None:
    largest = {topic.name: topic.max_record_bytes for topic in Topics().table()}
    room = largest.pop("sprat.dead-letters.v1")
    assert room > max(largest.values()) + 64 * KIB
