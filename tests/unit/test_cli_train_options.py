"""The command of a training, as `sprat retrain` prints it."""

import shlex
from pathlib import Path

import pytest

from sprat.errors import UserError
from sprat_cli.train.options import languages_of, reading_options, training_command
from sprat_training.config import TrainingConfig
from sprat_training.record import Reading


def command(*files: str, several: bool = False, **options) -> list[str]:
    config = TrainingConfig(files=tuple(map(Path, files)), output=Path(), **options)
    return shlex.split(training_command(config, Path("my hr"), several=several))


def test_what_is_the_default_is_not_named():
    found = command("hr.csv", "c.jsonl", name="hr")
    assert found == ["sprat", "train", "intent", "hr.csv", "c.jsonl", "--output", "my hr", "--force"]


def test_languages_names_and_texts_outside_are_named():
    outside = {"outside_label": "Sonstiges & mehr", "outside_file": Path("off topic.txt"), "outside_share": 0.3}
    found = command("Anfragen Mai.csv", name="anfragen", languages=("de", "fr"), **outside)
    assert found[3:] == [
        *("Anfragen Mai.csv", "--name", "anfragen", "--language", "de", "--language", "fr"),
        *("--outside-label", "Sonstiges & mehr", "--outside-share", "0.3", "--out-of-scope", "off topic.txt"),
        *("--output", "my hr", "--force"),
    ]


def test_a_licence_and_a_share_of_none_outside_are_named():
    assert command("hr.csv", name="hr", licence="CC0-1.0", outside_share=0.0)[4:8] == [
        *("--outside-share", "0.0", "--licence", "CC0-1.0"),
    ]


def test_an_encoding_is_named_where_it_is_not_found_by_itself():
    assert "--encoding" not in command("hr.csv", name="hr", encoding="Windows-1252")
    assert command("hr.csv", name="hr", encoding="cp1250")[4:6] == ["--encoding", "cp1250"]


def test_of_several_labels_the_other_command_is_named():
    assert command("hr.csv", name="hr", several=True)[:3] == ["sprat", "train", "multi-label"]


def test_the_languages_of_a_served_version_are_named_where_they_are_not_the_default():
    assert reading_options(Reading(), ("en",)) == []
    read = Reading(outside_label="Sonstiges")
    assert reading_options(read, ("de", "fr")) == ["--language de", "--language fr", "--outside-label Sonstiges"]


@pytest.mark.parametrize(("setting", "language"), [("de", "de"), ("pt_BR", "pt"), ("DE-AT", "de")])
def test_texts_count_as_the_default_language_whatever_its_region_and_a_line_says_so(
    monkeypatch, capsys, setting, language
):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", setting)
    assert languages_of(None) == (language,)
    said = f"the texts count as {language}, by SPRAT_DEFAULT_LANGUAGE; --language says otherwise\n"
    assert capsys.readouterr() == ("", said)


def test_the_line_names_the_file_of_a_task_where_that_has_the_languages(monkeypatch, capsys):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "de")
    assert languages_of((), "`languages` in the file of desk") == ("de",)
    assert capsys.readouterr().err.endswith("; `languages` in the file of desk says otherwise\n")


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


def test_a_command_names_english_where_the_default_is_another(monkeypatch):
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", "de-AT")
    assert command("hr.csv", name="hr")[4:6] == ["--language", "en"]
    assert "--language" not in command("hr.csv", name="hr", languages=("de",))
