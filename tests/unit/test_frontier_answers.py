import json

import pytest

from sprat_contracts import NerOutput
from sprat_frontier.answers import InvalidAnswerError, Mention, locate, parse
from sprat_frontier.prompts import question_of
from support import frontier_parts as parts
from support.speed import cpu_s


def question(text="x", task="intent", **changes):
    return question_of(parts.request(text, task, **changes))


def places(text, *mentions):
    found = locate(text, [Mention(mention, "PER") for mention in mentions])
    assert all(text[entity.start : entity.end] == entity.text for entity in found.entities)
    return [entity.start for entity in found.entities]


@pytest.mark.parametrize("label", ["transfer", None])
def test_an_announced_label_or_none_is_an_answer(label):
    assert parse(question(), json.dumps({"label": label})).label == label


@pytest.mark.parametrize(
    ("task", "content", "reason"),
    [
        ("intent", '{"label": "tran', "not JSON"),
        ("intent", '{"label": "delete_everything"}', "not among"),
        ("intent", '{"label": 3}', "schema"),
        ("intent", '{"label": "transfer", "more": 1}', "schema"),
        ("intent", "", "not JSON"),
        ("ner", '{"entities": [{"text": "Zoe", "label": "PER"}]}', "none of the entities"),
        ("ner", '{"entities": [{"text": "Ann", "label": "DOG"}]}', "label"),
        ("ner", '{"entities": {"text": "Ann"}}', "schema"),
        ("translation", '{"text": "  "}', "no translation"),
        ("translation", '{"text": "ein\\n\\nzwei"}', "paragraphs"),
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_refused_without_quoting_it(task, content, reason):
    with pytest.raises(InvalidAnswerError, match=reason) as caught:
        parse(question("Ann went home", task), content)
    for word in ("delete_everything", "Zoe", "DOG", "zwei"):
        assert word not in str(caught.value)


def test_offsets_are_code_points_after_any_characters():
    text = "🏴‍☠️ e\u0301 שלום Zoë met Zoë in 東京"
    found = parse(
        question(text, "ner"),
        json.dumps({"entities": [{"text": "Zoë", "label": "PER"}, {"text": "Zoë", "label": "PER"},
                                 {"text": "東京", "label": "LOC"}]}),
    )  # fmt: skip
    assert [text[entity.start : entity.end] for entity in found.entities] == ["Zoë", "Zoë", "東京"]
    assert found.entities[0].start < found.entities[1].start
    assert all(entity.probability is None for entity in found.entities)


def test_a_mention_is_first_searched_as_a_whole_word():
    assert places("Annual fees, said Ann", "Ann") == [18]
    assert places("東京都庁に行く", "東京") == [0]


def test_mentions_are_searched_in_order_and_then_from_the_start():
    text = "Ann, Bob, Ann"
    assert places(text, "Ann", "Bob", "Ann") == [0, 5, 10]
    assert places(text, "Bob", "Ann", "Ann") == [0, 5, 10]


def test_repeated_and_invented_mentions_are_left_out():
    assert places("Ann and Bob", "Ann", "Ann", "Zoe", "", " Bob ") == [0, 8]


def test_the_labels_of_an_announced_model_are_requested():
    ner_question = question("pay DE89370400440532013000", "ner", labels=("IBAN",))
    found = parse(ner_question, '{"entities": [{"text": "DE89370400440532013000", "label": "IBAN"}]}')
    assert found.entities[0].label == "IBAN"


def test_more_than_a_thousand_entities_are_truncated():
    found = locate("Ann " * 2000, [Mention("Ann", "PER")] * 1500)
    assert (len(found.entities), found.truncated) == (1000, True)
    assert NerOutput.model_validate_json(found.model_dump_json()) == found


def test_an_adversarial_text_is_not_slow():
    mentions = [Mention("a" * (1 + n % 50), "PER") for n in range(1000)]
    assert cpu_s(lambda: locate("a" * 20_000, mentions)) < 2  # all occurrences: 26 s


def test_a_translation_has_its_target():
    found = parse(question("one\n\n two", "translation"), '{"text": "eins\\n \\nzwei"}')
    assert (found.text, found.target) == ("eins\n \nzwei", "de")
