"""The command of a training, as `sprat retrain` prints it."""

import shlex
from pathlib import Path

from sprat_cli.train.options import reading_options, training_command
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
