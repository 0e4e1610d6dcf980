"""Read a folder as `save_pretrained` of the transformers library writes it: configuration, tokenizer, weights.

Only configurations, tokenizers and safetensors are read. No code of the folder is run, and no pickle is opened:
both could do anything on this machine.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError

Weights = dict[str, NDArray[np.float32]]

CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
WEIGHTS: Final = "model.safetensors"
WEIGHTS_INDEX: Final = "model.safetensors.index.json"

_ONLY_PICKLES: Final = (
    "has weights only as a pickle (.bin), and reading a pickle can run any code; ask its author for safetensors, or "
    "write them yourself where you trust the file: AutoModel….from_pretrained(DIR).save_pretrained(NEW)"
)
_FLOATS: Final[Mapping[str, Any]] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": None}
_LONGEST_REASON: Final = 200
_LONGEST: Final = 1 << 20
"""Tokenizers without a limit state a number above this one."""

MOST_LAYERS: Final = 512
MOST_HEADS: Final = 1_024
MOST_WIDTH: Final = 1 << 16
MOST_POSITIONS: Final = 1 << 14
MOST_ROWS: Final = 1 << 21
"""Limits of what a configuration may ask for, far above those of known models: memory is taken by these numbers."""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """The folder of a model for the transformers library."""

    folder: Path
    config: Mapping[str, Any]

    @classmethod
    def open(
        cls, folder: Path, tokenizers: Sequence[tuple[str, ...]] = ((TOKENIZER,),), *, weights: bool = True
    ) -> Self:
        """Read `config.json` of `folder`, and check that tokenizer and weights are there.

        Args:
            folder: the folder.
            tokenizers: the files of a tokenizer, in each form that the caller reads.
            weights: whether they are needed.

        Raises:
            UserError: the folder is no such model, or has no file that can be read without running code.
        """
        config = _read_object(folder / CONFIG)
        if not isinstance(config.get("model_type"), str):
            raise UserError(f"{folder / CONFIG}: names no model_type; it is not a model for transformers")
        saved = cls(folder, config)
        if weights:
            saved.check_weights()
        if not any(all((folder / name).is_file() for name in files) for files in tokenizers):
            forms = ", or ".join(" and ".join(files) for files in tokenizers)
            raise UserError(
                f"{folder}: has no {forms}, the form that is read here; write it with the transformers library: "
                "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
            )
        return saved

    @property
    def has_weights(self) -> bool:
        """Whether there are weights as safetensors."""
        return any((self.folder / name).is_file() for name in (WEIGHTS, WEIGHTS_INDEX))

    def check_weights(self) -> None:
        """Check that there are weights as safetensors.

        Raises:
            UserError: there are none, or only as a pickle.
        """
        if not self.has_weights:
            pickled = any(self.folder.glob("*.bin")) or any(self.folder.glob("*.pt"))
            raise UserError(f"{self.folder}: {_ONLY_PICKLES if pickled else f'has no {WEIGHTS}'}")

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration, and what `generation_config.json` says that it does not."""
        return self.object_in("generation_config.json", missing_ok=True) | dict(self.config)

    def object_in(self, name: str, *, missing_ok: bool = False) -> dict[str, Any]:
        """Return the object in the JSON file `name` of the folder.

        Raises:
            UserError: it cannot be read, or is missing; where it may be missing, it is then empty.
        """
        path = self.folder / name
        return {} if missing_ok and not path.is_file() else _read_object(path)

    @property
    def architecture(self) -> str:
        """The class that transformers would load, such as `BertForSequenceClassification`; empty if it is not named.

        Raises:
            UserError: the field is no list of names.
        """
        named = self.config.get("architectures") or [""]
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise UserError(f"{self.folder / CONFIG}: architectures must be a list of names")
        return str(named[0])

    @property
    def runs_own_code(self) -> bool:
        """Whether the repository asks for code of its own to be run."""
        return "auto_map" in self.config

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of `id2label`, in the order of the logits.

        Raises:
            UserError: there are none, or two that are equal.
        """
        named = self.config.get("id2label")
        if not isinstance(named, Mapping) or sorted(named) != sorted(map(str, range(len(named)))):
            raise UserError(
                f"{self.folder / CONFIG}: id2label does not name the labels 0, 1, …; write their names there"
            )
        labels = tuple(str(named[str(number)]) for number in range(len(named)))
        if len(set(labels)) != len(labels) or not all(label.strip() for label in labels):
            raise UserError(f"{self.folder / CONFIG}: id2label has an empty or a repeated label; name each differently")
        return labels

    def number(self, *names: str, least: int = 1, most: int, default: int | None = None) -> int:
        """Return the first of these fields of the configuration that there is, else `default`, as an integer.

        Raises:
            UserError: there is none, or it is no integer from `least` to `most`.
        """
        name = next((name for name in names if self.config.get(name) is not None), names[0])
        value = self.config.get(name, default)
        if value is None:
            raise UserError(f"{self.folder / CONFIG}: has no {' or '.join(names)}")
        return bounded(self.folder / CONFIG, name, value, least=least, most=most)

    def heads(self, *names: str, width: int) -> int:
        """Return how many heads of attention share vectors of `width` numbers.

        Raises:
            UserError: none is stated, or their number does not divide the width.
        """
        heads = self.number(*names, most=MOST_HEADS)
        if width % heads:
            raise UserError(f"{self.folder / CONFIG}: {names[0]} is {heads}, which does not divide the width {width}")
        return heads

    def epsilon(self, name: str, default: float) -> float:
        """Return the epsilon of the layer normalisation.

        Raises:
            UserError: it is no number from 0 to 1.
        """
        value = self.config.get(name, default)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"{self.folder / CONFIG}: {name} must be a number from 0 to 1")
        return float(value)

    def check_shape(self, name: str, array: NDArray[np.float32], wanted: tuple[int, ...]) -> None:
        """Check that an array has the shape that the configuration asks for.

        Raises:
            UserError: it has another one.
        """
        if array.shape != wanted:
            raise UserError(
                f"{self.folder}: {name} is shaped {array.shape}, by {CONFIG} it should be {wanted}; download the model "
                "again"
            )

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Turn what a conversion raises, where configuration, tokenizer and weights do not fit together, to an error.

        Raises:
            UserError: names the folder, and what was raised.
        """
        try:
            yield
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
            raise UserError(
                f"{self.folder}: {CONFIG}, tokenizer and weights do not fit together ({what}); download the model again"
            ) from None

    def longest_input(self, positions: int) -> int:
        """Return the most tokens of a text: what the tokenizer's configuration says, no more than `positions`."""
        limit = self.object_in("tokenizer_config.json", missing_ok=True).get("model_max_length")
        return min(positions, int(limit)) if isinstance(limit, int | float) and 3 <= limit < _LONGEST else positions

    def weights(self) -> Weights:
        """Return all arrays of floating-point numbers, as float32.

        Raises:
            UserError: a file cannot be read, or holds a value that is not finite.
        """
        from safetensors import SafetensorError, deserialize  # noqa: PLC0415 - an extra, which services do not install

        found: Weights = {}
        for name in self._weight_files():
            path = self.folder / name
            try:
                tensors = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
                found |= {name: _float32(tensor) for name, tensor in tensors if tensor["dtype"] in _FLOATS}
            except (OSError, SafetensorError, ValueError) as error:
                raise UserError(f"{path}: cannot be read ({error}); download it again") from None
        if broken := next((name for name, array in found.items() if not np.isfinite(array).all()), None):
            raise UserError(f"{self.folder}: {broken} holds values that are not finite; download the model again")
        return found

    def _weight_files(self) -> list[str]:
        """Return the names of the files with weights: one, or the parts that an index names."""
        path = self.folder / WEIGHTS_INDEX
        if not path.is_file():
            return [WEIGHTS]
        index = _read_object(path).get("weight_map")
        if not isinstance(index, Mapping) or any(Path(str(file)).name != file for file in index.values()):
            raise UserError(f"{path}: does not name files of this folder")
        return sorted(set(index.values()))


def bounded(path: Path, name: str, value: object, *, least: int, most: int) -> int:
    """Return `value`, which the field `name` of the file states.

    Raises:
        UserError: it is no integer from `least` to `most`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(f"{path}: {name} must be an integer from {least:,} to {most:,}")
    return value


def _float32(tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return an array that safetensors has read; bfloat16, which numpy lacks, is the upper half of a float32."""
    data, shape = tensor["data"], tensor["shape"]
    if tensor["dtype"] == "BF16":
        halves = np.frombuffer(data, np.dtype("<u2")).astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(shape)
    return np.frombuffer(data, _FLOATS[tensor["dtype"]]).reshape(shape).astype(np.float32)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: not found; DIR is a folder that save_pretrained wrote, or a download of one"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not an object")
    return content
