"""Which corrections of a file the served version has learnt."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from sprat.errors import SpratError, UserError
from sprat_cli.retrain.corrections import AskedModel, add_corrections
from sprat_cli.retrain.learnt import Learnt, check_learnt, learnt_corrections
from sprat_inference.card import Work
from sprat_training.config import TrainingConfig
from sprat_training.model_card import FITTED, OWN_FILE, TESTED, works_of
from sprat_training.record import Fingerprints, Reading, TrainingRecord
from support.stream import card

FIRST = [("the absence of Monday", "leave"), ("no wages in June", "payroll"), ("the turnstile is stuck", "badge")]
LATER = [("my notebook is slow", "laptop"), ("no absence in June", "leave")]


def rows(pairs):
    return [{"text": text, "label": label} for text, label in pairs]


def trained_on(*works: Work):
    return card(labels=("badge", "laptop", "leave", "payroll")).model_copy(update={"made_of": works})


def work(path: Path, use: str = FITTED) -> Work:
    digest = sha256(path.read_bytes()).hexdigest()
    return Work(name=path.name, authors="the owner", licence="own", source=OWN_FILE, used_for=use, sha256=digest)


def record(texts) -> TrainingRecord:
    return TrainingRecord(Reading(), Fingerprints.of(texts, "key"))


@pytest.fixture
def kept_in(tmp_path):
    path = tmp_path / "hr-corrections.jsonl"
    add_corrections(path, rows(FIRST))
    return path


def texts_of(found: Learnt) -> list[str]:
    return [json.loads(line)["text"] for line in found.lines]


def test_corrections_that_came_since_the_training_are_told_from_those_that_are_learnt(kept_in):
    served = trained_on(work(kept_in))
    add_corrections(kept_in, rows([*FIRST, *LATER]))  # Kafka still has those that were read before
    found = learnt_corrections(kept_in, served, None, several=False)
    assert (texts_of(found), found.new, found.are_known) == ([text for text, _ in FIRST], len(LATER), True)


def test_a_version_that_was_not_trained_on_the_file_has_learnt_none_of_it(kept_in):
    served = trained_on(work(kept_in, TESTED))
    knows_texts = record([text for text, _ in FIRST])  # under the labels that were wrong
    assert learnt_corrections(kept_in, served, knows_texts, several=False) == Learnt(new=len(FIRST))


def test_where_a_row_has_changed_since_the_texts_that_it_knows_count_as_learnt_and_that_is_said(kept_in, capsys):
    served = trained_on(work(kept_in))
    add_corrections(kept_in, rows([(FIRST[0][0], "badge"), *LATER]))
    knows = record([text for text, _ in FIRST])
    found = learnt_corrections(kept_in, served, knows, several=False)
    assert (texts_of(found), found.new, found.are_known) == ([text for text, _ in FIRST], len(LATER), False)
    assert learnt_corrections(kept_in, served, None, several=False) == Learnt(new=5, are_known=False)
    data = kept_in.with_name("hr.csv")
    data.write_text("text,label\n")
    config = TrainingConfig(files=(data, kept_in), output=Path(), name="hr")
    check_learnt(config, served, kept_in.parent, AskedModel("intent", "hr"))
    assert f"{kept_in} has changed in rows that {kept_in.parent} was trained on: " in capsys.readouterr().err


def test_without_a_new_correction_and_with_the_same_files_there_is_nothing_to_train(kept_in):
    data, test = kept_in.with_name("hr.csv"), kept_in.with_name("hr-test.csv")
    data.write_text("text,label\n")
    test.write_text("text,label\n")
    config = TrainingConfig(files=(data, kept_in), output=Path(), name="hr")
    served, asked = trained_on(*works_of(config), work(test, TESTED)), AskedModel("intent", "hr")
    add_corrections(kept_in, rows(FIRST))
    message = f"there is no new correction of intent/hr: the served version, .*, was trained on {kept_in} as it is, and"
    with pytest.raises(SpratError, match=message):
        check_learnt(config, served, kept_in.parent, asked)
    data.write_text("text,label\nmore,leave\n")
    with pytest.raises(SpratError, match="has learnt all corrections of ") as told:
        check_learnt(config, served, kept_in.parent, asked)
    assert str(told.value).endswith(f"run\n  sprat train intent {data} {kept_in} --output {kept_in.parent} --force")
    add_corrections(kept_in, rows(LATER))
    found = check_learnt(config, served, kept_in.parent, asked)
    assert (len(found.lines), found.new) == (len(FIRST), len(LATER))


def test_what_stands_for_the_served_version_is_trained_on_the_corrections_that_it_has_learnt(kept_in, tmp_path):
    data, folder = Path("hr.csv"), tmp_path / "alike"
    folder.mkdir()
    config = TrainingConfig(files=(data, kept_in), output=Path(), name="hr", corrections=kept_in)
    before = Learnt((b'{"text": "a", "label": "leave"}\n',)).before(config, folder)
    written = folder / kept_in.name
    assert (before.files, before.corrections) == ((data, written), written)
    assert written.read_bytes() == b'{"text": "a", "label": "leave"}\n'
    none = Learnt().before(config, folder)
    assert (none.files, none.corrections) == ((data,), None)
    with pytest.raises(UserError, match="the only file, and the served version has learnt nothing of it; name with"):
        Learnt().before(replace(config, files=(kept_in,)), folder)
