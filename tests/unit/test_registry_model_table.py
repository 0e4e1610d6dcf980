"""Who serves what, out of the announcements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.registry.model_table import AnnouncedLabels, ModelTable, model_key
from sprat_contracts import ModelAnnounced
from support.measured import thresholds
from support.router_records import APPENDED_AT, LABELS, announced, table


@pytest.mark.parametrize(
    ("owns_from", "served"),
    [
        pytest.param(APPENDED_AT - 1, True, id="owned since before the text"),
        pytest.param(APPENDED_AT, True, id="owned from this very millisecond"),
        pytest.param(APPENDED_AT + 1, False, id="owned only after the text"),
        pytest.param(None, False, id="known but not serving yet"),
    ],
)
def test_a_model_serves_the_texts_that_it_owns(owns_from: int | None, *, served: bool) -> None:
    models = table(announced(owns_from=owns_from))
    assert (models.served("intent", "default", APPENDED_AT) is not None) is served
    assert models.labels("intent", "default") == AnnouncedLabels(LABELS, "h1", "v1")


def test_what_card_and_thresholds_say_about_keeping_comes_with_the_labels() -> None:
    card = {"keep_at": 0.7, "keep_at_by_language": {"de": 0.8, "fr": 2}, "keep_at_outside": 0.9}
    models = table(announced().model_copy(update={"card": card, "thresholds": thresholds()}))
    labels = models.labels("intent", "default")
    assert labels is not None
    assert [labels.keep_at_of(tag) for tag in ("en", "de-AT", "fr")] == [0.7, 0.8, 0.7]
    assert (labels.keep_at_outside, labels.recommended_goal) == (0.9, 0.97)


@pytest.mark.parametrize("card", [{}, {"keep_at": None}, {"keep_at": 1.5, "keep_at_by_language": [0.7]}])
def test_a_card_that_names_no_share_says_nothing_about_keeping(card: dict[str, object]) -> None:
    labels = table(announced().model_copy(update={"card": card})).labels("intent", "default")
    assert labels is not None
    assert (labels.keep_at_of("de"), labels.keep_at_outside, labels.recommended_goal) == (None, 0.0, None)


@pytest.mark.parametrize(("task", "model"), [("ner", "default"), ("intent", "en-slow")])
def test_nobody_serves_what_is_not_announced(task: str, model: str) -> None:
    models = table(announced())
    assert models.served(task, model, APPENDED_AT) is None
    assert models.labels(task, model) is None


def test_the_second_announcement_takes_the_place_of_the_first() -> None:
    models = table(announced(owns_from=None), announced(owns_from=APPENDED_AT, version="v2"))
    served = models.served("intent", "default", APPENDED_AT)
    assert served is not None
    assert served.version == "v2"
    assert models.announced() == (served,)


def test_a_tombstone_retires_one_model_alone() -> None:
    models = table(announced(), announced(model="other"))
    assert models.apply(b"intent/default", None)
    assert models.served("intent", "default", APPENDED_AT) is None
    assert models.labels("intent", "default") is None
    assert models.served("intent", "other", APPENDED_AT) is not None


@pytest.mark.parametrize("key", [b"ner/default", b"intent", b"", b"\xff", None])
def test_an_announcement_under_another_key_is_not_taken_in(key: bytes | None) -> None:
    models = ModelTable()
    assert not models.apply(key, announced())
    assert models.announced() == ()


@pytest.mark.parametrize("key", [b"ner/default", b"", b"\xff/\xfe", None])
def test_a_tombstone_for_nothing_changes_nothing(key: bytes | None) -> None:
    models = table(announced())
    models.apply(key, None)
    assert models.served("intent", "default", APPENDED_AT) is not None


KEYS = st.tuples(st.sampled_from(("intent", "ner")), st.sampled_from(("default", "other")))
RECORDS = st.tuples(KEYS, st.one_of(st.just("tombstone"), st.none(), st.integers(0, 5)))


@given(st.lists(RECORDS, max_size=12), st.integers(0, 5))
def test_the_last_record_of_a_key_alone_counts(records: list, appended_at: int) -> None:
    models = ModelTable()
    last: dict[tuple[str, str], ModelAnnounced | None] = {}
    for (task, model), content in records:
        message = None if content == "tombstone" else announced(task, content, model=model)
        models.apply(model_key(task, model), message)
        last[task, model] = message
    assert models.announced() == tuple(last[key] for key in sorted(last) if last[key] is not None)
    for (task, model), message in last.items():
        owned = message is not None and message.owns_from is not None and message.owns_from <= appended_at
        assert models.served(task, model, appended_at) == (message if owned else None)
