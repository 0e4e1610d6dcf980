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


def without(name):
    return lambda folder: (folder / name).unlink()


def rubbish(name):
    return lambda folder: (folder / name).write_text("rubbish: [")


def outside(name):
    """Name a file of weights that does not lie in the folder itself."""

    def change(folder):
        (folder / "inner").mkdir()
        for copy in (folder.parent / "opus.npz", folder / "inner" / "opus.npz"):
            shutil.copyfile(folder / "opus.npz", copy)
        decoder = (folder / "decoder.yml").read_text()
        (folder / "decoder.yml").write_text(decoder.replace("opus.npz", name))

    return change


def arrays(changed):
    def change(folder):
        with np.load(folder / "opus.npz") as file:
            kept = dict(file)
        np.savez(folder / "opus.npz", **changed(kept))

    return change


def twice(name):
    return arrays(lambda kept: kept | {name: np.concatenate([kept[name], kept[name]], axis=-1)})


def config(field, value):
    def changed(kept):
        said = yaml.safe_load(kept["special:model.yml"][:-1].tobytes()) | {field: value}
        return kept | {"special:model.yml": np.frombuffer(yaml.safe_dump(said).encode() + b"\0", np.int8)}

    return arrays(changed)


def states_more_than_it_holds(folder):
    with np.load(folder / "opus.npz") as file:
        kept = dict(file)
    with ZipFile(folder / "opus.npz", "w") as archive:
        for name, array in kept.items():
            shape = (10**9, 16) if name == "Wemb" else array.shape
            content = BytesIO()
            header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(content, header)
            archive.writestr(f"{name}.npy", content.getvalue() + array.tobytes())


def for_several_languages(folder):
    shutil.rmtree(folder)
    write_opus_mt(folder, more=(">>deu<<", ">>nld<<"))


REFUSED = {
    "without decoder.yml": (without("decoder.yml"), "has no decoder.yml; take the .zip"),
    "without source.spm": (without("source.spm"), "has no source.spm; take the .zip"),
    "without opus.npz": (without("opus.npz"), "decoder.yml names opus.npz, which is not there"),
    **{f"rubbish in {name}": (rubbish(name), "sprat: ") for name in ("decoder.yml", "opus.npz", "opus.vocab.yml")},
    **{
        f"names {name}": (outside(name), "decoder.yml names a file outside this folder")
        for name in ("../opus.npz", "/opus.npz", "inner/opus.npz")
    },
    **{
        f"{name} twice": (twice(name), "sprat: ")
        for name in (
            *("Wemb", "encoder_l1_self_Wq", "encoder_l1_self_bv", "decoder_l1_context_Wo", "decoder_l1_ffn_W1"),
            *("decoder_l1_ffn_W2", "encoder_l1_ffn_b1", "encoder_l1_ffn_ffn_ln_scale", "decoder_ff_logit_out_b"),
        )
    },
    **{
        f"{field} {value}": (config(field, value), field)
        for field, value in (
            *(("transformer-heads", heads) for heads in (0, 3, 10**10)),
            *(("enc-depth", depth) for depth in (10**10, 0)),
            ("dec-depth", "many"),
        )
    },
    "an array of objects": (
        arrays(lambda kept: kept | {"own": np.array([print], dtype=object)}),
        "own does not hold the numbers that it states",
    ),
    "an array that is not allocated": (states_more_than_it_holds, "Wemb does not hold the numbers that it states"),
    "several languages": (for_several_languages, "several languages"),
}


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_such_model_is_refused_in_words_and_nothing_is_written(download, tmp_path, change, said):
    change(download)
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert result.stderr.startswith("sprat: ")
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "mine").exists()


def test_nothing_that_exists_is_overwritten(download, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    result = convert(download, "--output", tmp_path / "mine")
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
