"""Numbered placeholders."""

from sprat_privacy.masked_text import Numbering, lookalikes_in


def test_one_value_has_one_placeholder_and_two_values_have_two():
    numbering = Numbering(frozenset())
    assert [numbering.placeholder_for((value,), "PERSON") for value in ("Ada", "Bo", "Ada")] == [
        "[PERSON_1]",
        "[PERSON_2]",
        "[PERSON_1]",
    ]
    assert numbering.placeholder_for(("Ada", "ada"), "LOCATION") == "[PERSON_1]"
    assert numbering.placeholder_for(("ada",), "PERSON") == "[PERSON_1]", "every earlier name of a value counts"
    assert numbering.placeholder_for(("Oslo",), "LOCATION") == "[LOCATION_1]"


def test_a_placeholder_that_is_in_the_text_is_not_assigned():
    taken = frozenset(lookalikes_in("[PERSON_1] and [ person - 2 ] wrote"))
    assert Numbering(taken).placeholder_for(("Ada",), "PERSON") == "[PERSON_3]"
