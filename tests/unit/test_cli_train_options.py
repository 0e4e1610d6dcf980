"""The languages of a training."""

import pytest

from sprat.base.errors import UserError
from sprat_cli.commands.train.command import languages_of


@pytest.mark.parametrize(("setting", "language"), [("de", "de"), ("pt_BR", "pt"), ("DE-AT", "de")])
def test_texts_count_as_the_default_language_whatever_its_region_and_a_line_says_so(
    monkeypatch, capsys, setting, language
):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", setting)
    assert languages_of(None) == (language,)
    said = f"the texts count as {language}, by SPRAT_DEFAULT_LANGUAGE; --language says otherwise\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("setting", ["auto", "en", "en-GB"])
def test_texts_count_as_english_where_that_is_the_default_or_each_text_is_detected(monkeypatch, capsys, setting):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", setting)
    assert languages_of([]) == ("en",)
    assert capsys.readouterr() == ("", "")


def test_named_languages_go_before_the_default_one(monkeypatch, capsys):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "de")
    assert languages_of(["en", "de-AT"]) == ("en", "de-AT")
    assert capsys.readouterr() == ("", "")


def test_a_wrong_default_language_is_refused_before_a_training(monkeypatch):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "ger")
    with pytest.raises(UserError, match=r"SPRAT_DEFAULT_LANGUAGE: ger is no language tag: write de$"):
        languages_of(None)
