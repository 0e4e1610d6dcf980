import json
import shutil
from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_inference.artefact import load_artefact
from sprat_translation.model import TranslationModel
from support.marian import write_opus_mt


@pytest.fixture
def download(tmp_path):
    folder = tmp_path / "opus-mt-en-de"
    write_opus_mt(folder)
    return folder


def convert(*arguments):
    return CliRunner().invoke(app, ["models", "convert", "opus-mt", *map(str, arguments)])


def test_a_marian_folder_becomes_an_artefact_that_the_service_reads(download, tmp_path):
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 0, result.stderr
    assert "en → de" in result.stdout
    assert "no estimate of its own quality" in result.stderr
    card = load_artefact(tmp_path / "mine").card
    assert (card.name, card.languages, card.targets, card.keep_at) == ("opus-mt-en-de", ("en",), ("de",), 1.0)
    assert card.limits[0].startswith("Uncalibrated")
    TranslationModel.load(tmp_path / "mine").probe()


def test_languages_name_and_licence_are_said_on_the_card(download, tmp_path):
    options = ["--source", "fr", "--target", "it", "--name", "mine", "--licence", "Apache-2.0", "--json"]
    result = convert(download, "--output", tmp_path / "out" / "mine", *options)
    card = load_artefact(tmp_path / "out" / "mine").card
    assert (card.name, card.languages, card.targets, card.licence) == ("mine", ("fr",), ("it",), "Apache-2.0")
    assert json.loads(result.stdout)["version"] == card.version


def test_the_same_folder_gives_the_same_version(download, tmp_path):
    versions = []
    for name in ("one", "two"):
        convert(download, "--output", tmp_path / name)
        versions.append(load_artefact(tmp_path / name).card.version)
    assert versions[0] == versions[1]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("decoder.yml", "has no decoder.yml; take the .zip"),
        ("source.spm", "has no source.spm; take the .zip"),
        ("opus.npz", "decoder.yml names opus.npz, which is not there"),
    ],
)
def test_a_folder_of_another_kind_is_refused_with_what_to_do(download, tmp_path, missing, said):
    (download / missing).unlink()
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["decoder.yml", "opus.npz", "opus.vocab.yml"])
def test_rubbish_is_refused(download, tmp_path, name):
    (download / name).write_text("rubbish: [")
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert result.stderr.startswith("sprat: ")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", ["../opus.npz", "/opus.npz", "inner/opus.npz"])
def test_files_outside_the_folder_are_not_read(download, tmp_path, name):
    (download / "inner").mkdir()
    for copy in (tmp_path / "opus.npz", download / "inner" / "opus.npz"):
        shutil.copyfile(download / "opus.npz", copy)
    decoder = (download / "decoder.yml").read_text()
    (download / "decoder.yml").write_text(decoder.replace("opus.npz", name))
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "decoder.yml names a file outside this folder" in result.stderr


def change_arrays(path, changed):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **changed(arrays))


def with_config(arrays, **changes):
    config = yaml.safe_load(arrays["special:model.yml"][:-1].tobytes()) | changes
    return arrays | {"special:model.yml": np.frombuffer(yaml.safe_dump(config).encode() + b"\0", np.int8)}


@pytest.mark.parametrize(
    "name",
    [
        "Wemb",
        "encoder_l1_self_Wq",
        "encoder_l1_self_bv",
        "decoder_l1_context_Wo",
        "decoder_l1_ffn_W1",
        "decoder_l1_ffn_W2",
        "encoder_l1_ffn_b1",
        "encoder_l1_ffn_ffn_ln_scale",
        "decoder_ff_logit_out_b",
    ],
)
def test_weights_whose_shapes_do_not_fit_are_refused(download, tmp_path, name):
    change_arrays(
        download / "opus.npz", lambda arrays: arrays | {name: np.concatenate([arrays[name], arrays[name]], axis=-1)}
    )
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert result.stderr.startswith("sprat: ")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transformer-heads", 0),
        ("transformer-heads", 3),
        ("transformer-heads", 10**10),
        ("enc-depth", 10**10),
        ("enc-depth", 0),
        ("dec-depth", "many"),
    ],
)
def test_numbers_that_cannot_be_are_refused(download, tmp_path, field, value):
    change_arrays(download / "opus.npz", lambda arrays: with_config(arrays, **{field: value}))
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert field in result.stderr


def test_an_array_that_states_more_than_it_holds_is_not_allocated(download, tmp_path):
    with np.load(download / "opus.npz") as file:
        arrays = dict(file)
    with ZipFile(download / "opus.npz", "w") as archive:
        for name, array in arrays.items():
            shape = (10**9, 16) if name == "Wemb" else array.shape
            content = BytesIO()
            header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(content, header)
            archive.writestr(f"{name}.npy", content.getvalue() + array.tobytes())
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "Wemb does not hold the numbers that it states" in " ".join(result.stderr.split())


def test_an_array_of_objects_is_not_opened(download, tmp_path):
    change_arrays(download / "opus.npz", lambda arrays: arrays | {"own": np.array([print], dtype=object)})
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "own does not hold the numbers that it states" in " ".join(result.stderr.split())


def test_a_model_for_several_languages_is_refused(tmp_path):
    write_opus_mt(tmp_path / "multi", more=(">>deu<<", ">>nld<<"))
    result = convert(tmp_path / "multi", "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "several languages" in result.stderr


def test_nothing_that_exists_is_overwritten(download, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
