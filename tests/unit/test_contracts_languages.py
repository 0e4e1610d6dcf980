import pytest

from sprat_contracts.languages import is_served, is_variety, primary_subtag


@pytest.mark.parametrize("tag", ["de", "DE", "de-AT", "DE-ch-1996", "de_AT", " de-AT"])
def test_the_primary_subtag_is_the_language_in_lower_case(tag: str) -> None:
    assert primary_subtag(tag) == "de"


def test_a_language_serves_its_regions_and_a_region_serves_no_more_than_itself() -> None:
    assert is_served("en-GB", ("de", "en"))
    assert is_served("EN-gb", ("en-GB",))
    assert not is_served("en", ("en-GB",))
    assert not is_served("en-US", ("en-GB",))
    assert not is_served("eng", ("en",))
    assert not is_served("en", ())


@pytest.mark.parametrize(
    ("tag", "of", "is_one"),
    [("de", "de", True), ("de-AT", "de", True), ("DE_at", "de-AT", True), ("zh-Hant-TW", "zh-TW", True),
     ("de", "de-AT", False), ("pt-BR", "pt-PT", False), ("zh-Hans", "zh-Hant", False), ("ca", "ca-valencia", False),
     ("en", "de", False), ("en-DE", "de", False), ("de", "en-de", False)],
)  # fmt: skip
def test_a_variety_is_of_a_language_and_of_what_it_names_itself(tag: str, of: str, *, is_one: bool) -> None:
    assert is_variety(tag, of) is is_one
