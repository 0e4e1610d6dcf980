import math

import pytest

from sprat_frontier.label_confidence import TokenLogprob, label_confidence


def tokens(*written: tuple[str, float]) -> list[TokenLogprob]:
    return [TokenLogprob(token=token, logprob=math.log(probability)) for token, probability in written]


def test_it_is_the_product_of_the_tokens_that_write_the_label():
    told = tokens(('{"', 0.1), ("label", 0.2), ('":', 0.3), (' "', 0.9), ("card", 0.5), ("_lost", 0.8), ('"}', 0.7))
    assert label_confidence('{"label": "card_lost"}', told) == pytest.approx(0.9 * 0.5 * 0.8 * 0.7)


def test_the_closing_quote_tells_a_label_from_those_that_begin_so():
    told = tokens(('{"label": "', 1), ("card", 1), ('"', 0.25), ("}", 1))
    assert label_confidence('{"label": "card"}', told) == pytest.approx(0.25)


def test_none_of_the_labels_has_a_probability_too():
    assert label_confidence('{"label":null}', tokens(('{"label":', 0.1), ("null", 0.6), ("}", 0.1))) == pytest.approx(
        0.6
    )


def test_a_token_may_be_a_part_of_a_character():
    euro = "€".encode()
    parts = [
        TokenLogprob.model_validate({"token": "\\xe2", "logprob": math.log(0.5), "bytes": list(euro[:1])}),
        TokenLogprob.model_validate({"token": "\\x82\\xac", "logprob": math.log(0.5), "bytes": list(euro[1:])}),
    ]
    told = [*tokens(('{"label": "', 1)), *parts, *tokens(('"}', 1))]
    assert label_confidence('{"label": "€"}', told) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"label": "card"}', []),
        ('{"label": "card"}', tokens(('{"label": "card', 1))),
        ('{"label": "card"}', tokens(('{"label": "loan"}', 1))),
        ('{"text": "card"}', tokens(('{"text": "card"}', 1))),
        ('{"label": 5}', tokens(('{"label": 5}', 1))),
    ],
    ids=["no tokens", "not all tokens", "tokens of another answer", "no label", "no string"],
)
def test_tokens_that_do_not_write_the_answer_tell_nothing(content, told):
    assert label_confidence(content, told) is None


def test_what_is_no_logarithm_of_a_probability_is_at_most_1():
    assert label_confidence('{"label": "a"}', [TokenLogprob(token='{"label": "a"}', logprob=3.0)]) == 1.0


def test_several_labels_have_the_probability_of_all_of_them_and_of_no_other_one():
    content = '{"labels": ["card", "loan"]}'
    told = tokens(
        ('{"labels":', 0.1), (' ["', 0.9), ("card", 0.8), ('", "', 0.7), ("loan", 0.6), ('"]', 0.5), ("}", 0.1)
    )
    assert label_confidence(content, told) == pytest.approx(0.9 * 0.8 * 0.7 * 0.6 * 0.5)


def test_no_label_at_all_and_labels_with_brackets_have_a_probability_too():
    assert label_confidence('{"labels":[]}', tokens(('{"labels":', 0.1), ("[]", 0.6), ("}", 0.1))) == pytest.approx(0.6)
    told = tokens(('{"labels": ', 0.1), ('["a [b"', 0.5), (', "c]"', 0.5), ("]", 0.5), ("}", 0.1))
    assert label_confidence('{"labels": ["a [b", "c]"]}', told) == pytest.approx(0.125)
