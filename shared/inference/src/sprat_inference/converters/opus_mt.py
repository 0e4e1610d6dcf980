"""Convert a Marian model, as OPUS-MT publishes it, to an artefact of the translation service, without torch.

The folder of such a model has `decoder.yml`, the weights as `.npz`, the vocabulary as `.yml`, `source.spm` and
`target.spm`. CTranslate2's own converter converts the network. The folder has no quality estimate; the card says so,
and the service then returns low, uncalibrated confidences.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ctranslate2
import yaml
from ctranslate2.converters import OpusMTConverter
from ctranslate2.converters.marian import load_vocab

from sprat.base.errors import UserError
from sprat_contracts.announcements import NOT_FITTED
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.marian_weights import check_marian_weights

READER: Final = "sprat-translation-marian/3"
"""The revision of the translation service that reads the artefact."""

LONGEST_SENTENCE: Final = 200
"""Most pieces read of a sentence. OPUS-MT was trained on up to 500, but on few long sentences."""

LONGEST_TEXT: Final = 5_000
"""Most code points of a text. Its confidence is that of its worst sentence, so a longer text would hardly be kept."""

NOT_CALIBRATED_LIMIT: Final = (
    "Uncalibrated: its confidence falls with the network's doubts, and is no chance of anything."
)

_NEEDED = ("decoder.yml", "source.spm", "target.spm")
_DOWNLOAD = (
    "take the .zip that the model's own README names (with decoder.yml and .npz); sprat models add takes the files for "
    "transformers"
)


@dataclass(frozen=True, slots=True)
class LanguagePair:
    """What the files of the model do not state."""

    language: str
    """BCP 47 tag of the source."""
    target: str
    """BCP 47 tag of the translation."""
    licence: str
    """SPDX expression of the weights."""


def convert_opus_mt(source: Path, pair: LanguagePair, name: str, output: Path) -> Card:
    """Write the artefact into `output`, a folder that must be missing or empty, and return its card.

    Raises:
        UserError: when `source` has other files, or CTranslate2 cannot convert the model; the message says what to do.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: exists already; name another --output")
    network, vocabularies = _named_files(source)
    check_marian_weights(source / network)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as temporary:
        folder = Path(temporary) / "artefact"
        _convert(source, vocabularies, folder)
        for file in ("source.spm", "target.spm"):
            shutil.copyfile(source / file, folder / file)
        written = write_artefact(folder, _card(source, pair, name))
        if output.exists():
            output.rmdir()
        folder.rename(output)
    return written


def _named_files(source: Path) -> tuple[str, list[str]]:
    """Check that all files are there, and return the names of the weights and of the vocabularies."""
    missing = [name for name in _NEEDED if not (source / name).is_file()]
    if missing:
        raise UserError(f"{source}: has no {', '.join(missing)}; {_DOWNLOAD}")
    try:
        decoder = yaml.safe_load((source / "decoder.yml").read_text(encoding="utf-8"))
        (network, *others), vocabularies = decoder["models"], list(decoder["vocabs"])
        files = [network, *others, *vocabularies]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError) as error:
        raise UserError(f"{source / 'decoder.yml'}: names no models and vocabs ({type(error).__name__})") from None
    outside = [name for name in files if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise UserError(f"{source}: decoder.yml names a file outside this folder; {_DOWNLOAD}")
    missing = [name for name in files if not (source / name).is_file()]
    if missing:
        raise UserError(f"{source}: decoder.yml names {', '.join(missing)}, which is not there; {_DOWNLOAD}")
    return network, vocabularies


def _convert(source: Path, vocabularies: Sequence[str], folder: Path) -> None:
    try:
        for name in vocabularies:
            load_vocab(source / name)  # first: when it fails later, the converter leaves the weights' file open
        converter = OpusMTConverter(str(source))
        converter.convert(str(folder), quantization="int8")
        translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=1)
        translator.score_batch([["▁a"] * LONGEST_SENTENCE], [["▁a"] * (2 * LONGEST_SENTENCE + 10)])
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # The converter does not validate the files, so a bad one raises any of these.
        raise UserError(f"{source}: CTranslate2 cannot take this model ({type(error).__name__}: {error})") from None
    if '">>' in "".join(path.read_text(encoding="utf-8") for path in folder.glob("*vocabulary.json")):
        raise UserError(
            f"{source}: translates into several languages, told apart by a word like >>deu<<, which nobody would "
            "write for it; take a model for one language"
        )


def _card(source: Path, pair: LanguagePair, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "reader": READER,
        "languages": (pair.language,),
        "targets": (pair.target,),
        "max_tokens": LONGEST_SENTENCE,
        "licence": pair.licence,
        "made_of": (
            {
                "name": source.resolve().name,
                "authors": "OPUS-MT, Tiedemann and Thottingal 2020, and the authors of its data; see its README",
                "licence": pair.licence,
                "source": "a folder given to `sprat models convert opus-mt`",
                "used_for": "the network, quantised to int8 with CTranslate2, and its vocabulary",
            },
        ),
        **uncalibrated_card(LONGEST_SENTENCE),
    }


def uncalibrated_card(longest_sentence: int) -> dict[str, Any]:
    """Return the fields of the card of a translation model without an estimate of its own quality."""
    return {
        "task": "translation",
        "scores": (),
        "calibration": {
            "method": "none: the square of the geometric mean of the pieces' chances, of the least sure sentence; "
            "0 where a number, an address or a placeholder is not kept, or a sentence is too long",
            "fitted_on": NOT_FITTED,
            "outside_share": 0.0,
            "longest_code_points": LONGEST_TEXT,
            "parameters": {"decline_below": (0.0,)},
        },
        "keep_at": 1.0,
        "keep_at_rule": "nothing was measured, so keeping nothing is recommended; measure, and set your policy's own",
        "limits": (
            NOT_CALIBRATED_LIMIT,
            "Not measured here: the card has no scores.",
            f"Reads sentences of up to {longest_sentence} pieces and texts of up to {LONGEST_TEXT:,} characters.",
        ),
    }
