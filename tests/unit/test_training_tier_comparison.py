import pytest

from sprat_training.evaluation.metrics import wilson
from sprat_training.evaluation.tier_comparison import TierAnswer, compare_tiers


def test_each_tier_is_judged_by_the_texts_that_reached_it():
    answers = [
        [TierAnswer("house", "a", kept=True, eur=1e-6)],
        [TierAnswer("house", "b", kept=False, eur=1e-6), TierAnswer("large", "a", kept=True, eur=3e-6)],
        [TierAnswer("house", None, kept=False, eur=0), TierAnswer("large", "b", kept=True, eur=5e-6)],
        [TierAnswer("house", None, kept=False, eur=0, asked=False), TierAnswer("large", None, kept=False, eur=0)],
    ]
    house, large = compare_tiers(answers, ["a", "a", "b", "b"])
    assert (house.tier, house.asked, house.answered) == ("house", 3, 2)
    assert (house.kept, house.right_of_kept, house.right_of_answered) == (wilson(1, 3), wilson(1, 1), wilson(1, 2))
    assert round(house.eur_per_million.value, 6) == round(2 / 3, 6)
    assert (large.tier, large.asked, large.answered) == ("large", 3, 2)
    assert (large.kept, large.right_of_kept, large.right_of_answered) == (wilson(2, 3), wilson(2, 2), wilson(2, 2))
    assert large.eur_per_million.low <= large.eur_per_million.value <= large.eur_per_million.high
    assert large.as_json["kept"] == [round(each, 4) for each in (2 / 3, wilson(2, 3).low, wilson(2, 3).high)]


def test_where_a_text_may_have_several_labels_all_of_them_are_judged_together_and_each_by_itself():
    answers = [
        [TierAnswer("house", "a|b", kept=True, eur=0)],
        [TierAnswer("house", "a", kept=True, eur=0)],
        [TierAnswer("house", "none", kept=True, eur=0)],
        [TierAnswer("house", None, kept=False, eur=0)],
    ]
    (house,) = compare_tiers(answers, ["a|b", "a|b", "none", "b"], "none")
    assert house.right_of_answered == wilson(2, 3)
    assert house.micro_f1.value == pytest.approx(2 * 3 / (3 + 4)), "three of three labels are right, of four"
    assert 0.2 < house.micro_f1.low < house.micro_f1.value < house.micro_f1.high <= 1
    assert house.as_json["micro_f1"][0] == 0.8571
    (none,) = compare_tiers([[TierAnswer("house", "none", kept=True, eur=0)]], ["none"], "none")
    assert (none.micro_f1.value, none.micro_f1.low) == (1, 0), "no label was named: nothing shows how many are right"
    (unanswered,) = compare_tiers([[TierAnswer("house", None, kept=False, eur=0)]], ["a"], "none")
    assert unanswered.micro_f1 is None
    (one_label,) = compare_tiers([[TierAnswer("house", "a", kept=True, eur=0)]], ["a"])
    assert "micro_f1" not in one_label.as_json
