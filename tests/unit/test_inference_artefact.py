import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sprat.base.errors import Fatal
from sprat_inference.artefact import (
    BrokenArtefact,
    _version,
    content_hash,
    load_artefact,
    load_part,
    write_artefact,
    write_part,
)
from sprat_inference.card import Card, PartRef, label_set_hash

LABELS = ("pay", "ask")
DRAFT: dict[str, Any] = {
    "name": "small",
    "task": "intent",
    "reader": "test/1",
    "labels": LABELS,
    "label_set": label_set_hash(LABELS),
    "languages": ("en",),
    "max_tokens": 16,
    "licence": "Apache-2.0",
    "made_of": [
        {"name": "w", "authors": "a", "licence": "MIT", "source": "s", "used_for": "all", "sha256": None},
    ],
    "scores": [{"name": "accuracy", "value": 0.5, "protocol": "none"}],
    "calibration": {
        "method": "m",
        "fitted_on": "f",
        "outside_share": 0.1,
        "longest_code_points": 10,
        "parameters": {"right": [1.0]},
    },
    "keep_at": 0.5,
    "keep_at_rule": "r",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(b"weights")
    (tmp_path / "head.npz").write_bytes(b"head")
    write_artefact(tmp_path, DRAFT)
    return tmp_path


def edit(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps({**card, **changes}), encoding="utf-8")


def test_an_artefact_is_written_and_read_back(folder: Path) -> None:
    artefact = load_artefact(folder, reader="test/1")
    assert artefact.card.labels == LABELS
    assert set(artefact.card.files) == {"model.bin", "head.npz"}
    assert artefact.card.version == content_hash(folder)
    assert artefact.card.score("accuracy") == 0.5


def test_writing_twice_gives_the_same_bytes(folder: Path) -> None:
    before = (folder / "card.json").read_bytes()
    write_artefact(folder, load_artefact(folder).card.model_dump())
    assert (folder / "card.json").read_bytes() == before


def test_thresholds_beside_the_card_are_no_part_of_the_version(folder: Path) -> None:
    before = (folder / "card.json").read_bytes(), content_hash(folder)
    (folder / "thresholds.json").write_text("{}")
    card = load_artefact(folder).card
    assert write_artefact(folder, DRAFT) == card
    assert ((folder / "card.json").read_bytes(), content_hash(folder)) == before
    assert "thresholds.json" not in card.files


def test_the_version_covers_every_byte_of_files_and_card(folder: Path) -> None:
    version = content_hash(folder)
    (folder / "model.bin").write_bytes(b"weightS")
    other_weights = content_hash(folder)
    (folder / "model.bin").write_bytes(b"weights")
    edit(folder, keep_at=0.6)
    assert len({version, other_weights, content_hash(folder)}) == 3


def test_white_space_and_order_of_the_card_do_not_change_the_version(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    turned = dict(reversed(card.items()))
    (folder / "card.json").write_text(json.dumps(turned, indent=4), encoding="utf-8")
    assert load_artefact(folder).card.version == card["version"]


def test_a_file_that_the_card_does_not_list_does_not_change_the_artefact(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"litter")
    (folder / "notes.txt").write_bytes(b"litter")
    assert load_artefact(folder).card.name == "small"


@pytest.mark.parametrize("name", ["vocabulary.json", "config.json", "shared_vocabulary.txt", "vmap.txt", "other.BIN"])
def test_a_file_that_a_loader_may_read_and_the_card_does_not_list_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{}")
    with pytest.raises(BrokenArtefact, match="the card does not list it"):
        load_artefact(folder)


def test_a_card_that_leaves_out_a_file_is_refused(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    del card["files"]["head.npz"]
    edit(folder, files=card["files"])
    edit(folder, version=_version({**card}))
    with pytest.raises(BrokenArtefact, match=r"head\.npz: the card does not list it"):
        load_artefact(folder)


def break_nothing_there(folder: Path) -> None:
    (folder / "card.json").unlink()


def break_no_json(folder: Path) -> None:
    (folder / "card.json").write_text("{", encoding="utf-8")


def break_not_an_object(folder: Path) -> None:
    (folder / "card.json").write_text("[]", encoding="utf-8")


def break_field(folder: Path) -> None:
    edit(folder, keep_at=1.5)


def break_label_hash(folder: Path) -> None:
    edit(folder, labels=["pay"])


def break_missing_file(folder: Path) -> None:
    (folder / "head.npz").unlink()


def break_changed_file(folder: Path) -> None:
    (folder / "head.npz").write_bytes(b"heaD")


def break_changed_card(folder: Path) -> None:
    edit(folder, keep_at=0.9)


def break_outside_path(folder: Path) -> None:
    edit(folder, files={"../other": "0" * 64})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        pytest.param(break_nothing_there, "card.json: not found", id="no card"),
        pytest.param(break_no_json, "cannot be read", id="card is no JSON"),
        pytest.param(break_not_an_object, "not a card, but a list", id="card is no object"),
        pytest.param(break_field, "look at keep_at", id="field out of bounds"),
        pytest.param(break_label_hash, "label_set is not the hash", id="labels against their hash"),
        pytest.param(break_missing_file, "head.npz: missing", id="file missing"),
        pytest.param(break_changed_file, "head.npz: has sha256", id="file changed"),
        pytest.param(break_changed_card, "says version", id="card changed"),
        pytest.param(break_outside_path, "outside its own folder", id="path out of the folder"),
    ],
)
def test_the_error_of_a_broken_artefact_says_what_where_and_how_to_fix_it(folder: Path, broken: Any, says: str) -> None:
    broken(folder)
    with pytest.raises(BrokenArtefact, match=says) as caught:
        load_artefact(folder)
    assert str(folder) in str(caught.value)
    assert "make it again" in str(caught.value)
    assert isinstance(caught.value, Fatal)


def test_an_artefact_for_other_code_is_refused(folder: Path) -> None:
    with pytest.raises(BrokenArtefact, match=r"made for test/1, this program is test/2"):
        load_artefact(folder, reader="test/2")


def test_a_card_is_frozen_and_rejects_unknown_fields(folder: Path) -> None:
    card = load_artefact(folder).card
    with pytest.raises(ValidationError):
        card.name = "other"
    with pytest.raises(ValidationError):
        Card.model_validate({**card.model_dump(), "colour": "red"})


def test_equal_label_sets_have_equal_hashes_whatever_their_order() -> None:
    assert label_set_hash(("a", "b")) == label_set_hash(["b", "a", "a"])
    assert label_set_hash(("a", "b")) != label_set_hash(("a", "c"))


PART = {name: DRAFT[name] for name in ("name", "reader", "languages", "max_tokens", "licence", "made_of", "scores")}


def test_a_part_needs_no_task_and_has_a_version_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    written = write_part(tmp_path, PART)
    read = load_part(tmp_path, reader="test/1")
    assert read == written
    assert read.version == content_hash(tmp_path)
    assert "task" not in json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    with pytest.raises(BrokenArtefact, match="look at task"):
        load_artefact(tmp_path)


def test_a_changed_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    write_part(tmp_path, PART)
    (tmp_path / "model.bin").write_bytes(b"weightS")
    with pytest.raises(BrokenArtefact, match=r"model\.bin: has sha256"):
        load_part(tmp_path)


def test_what_a_model_is_built_on_is_part_of_its_version(folder: Path) -> None:
    alone = load_artefact(folder).card
    assert "built_on" not in alone.model_dump()
    versions = {
        write_artefact(folder, {**DRAFT, "built_on": PartRef(name="encoder", version=digit * 16)}).version
        for digit in "01"
    }
    assert len({alone.version, *versions}) == 3
    assert load_artefact(folder).card.built_on == PartRef(name="encoder", version="1" * 16)


@pytest.mark.parametrize(
    ("file", "content", "advice"),
    [
        ("config.json", {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
         "this is a bert model for transformers; convert it first: sprat models add {} --task intent"),
        ("config.json", {"model_type": "marian", "architectures": ["MarianMTModel"]},
         "this is a marian model for transformers; convert it first: sprat models add {} --task translation"),
        ("config.json", {"model_type": "bert"}, "convert it first: sprat models add {} --task TASK"),
        ("decoder.yml", {}, "convert it first: sprat models convert opus-mt {} --output NEW"),
        ("config.json", {"layer_norm_epsilon": 1}, "restore the folder, or make it again"),
    ],
)  # fmt: skip
def test_a_folder_in_another_form_says_which_command_takes_it(
    tmp_path: Path, file: str, content: dict[str, object], advice: str
) -> None:
    (tmp_path / file).write_text(json.dumps(content), "utf-8")
    with pytest.raises(BrokenArtefact, match=re.escape(advice.format(tmp_path))):
        load_artefact(tmp_path)


def test_a_card_without_thresholds_by_language_is_written_as_before_and_one_with_them_reads_them(
    folder: Path,
) -> None:
    card = load_artefact(folder).card
    assert "keep_at_by_language" not in card.model_dump()
    assert "keep_at_outside" not in card.model_dump()
    assert card.model_copy(update={"keep_at_outside": 0.95}).model_dump()["keep_at_outside"] == 0.95
    german = card.model_copy(update={"keep_at_by_language": {"de": 0.95}})
    assert Card.model_validate(german.model_dump(mode="json")) == german
    assert [german.keep_at_of(tag) for tag in ("de", "de-AT", "DE", "en")] == [0.95, 0.95, 0.95, card.keep_at]
