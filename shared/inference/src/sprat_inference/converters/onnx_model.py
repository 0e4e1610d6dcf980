"""Take a network as ONNX from a repository that ships one, where CTranslate2 does not have its architecture.

Nothing that the file states is trusted: it must not name files elsewhere or operators that ONNX Runtime lacks, it must
take what a text is, and compute what the labels say. The artefact holds it in one file.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokenizers import Tokenizer

from sprat.base.errors import UserError
from sprat_inference.artefact import BrokenArtefact, ModelError, write_json
from sprat_inference.converters.bert import Quantization, vocabulary_of
from sprat_inference.converters.cards import WrittenNetwork
from sprat_inference.converters.hub import HOW_TO_INSTALL, Source
from sprat_inference.converters.saved_model import MOST_POSITIONS, MOST_ROWS, TOKENIZER, SavedModel
from sprat_inference.onnx_network import IDS, INPUTS, LOGITS, NETWORK_FILE, OnnxNetwork
from sprat_inference.tokenizer import SPECIAL_TOKENS, load_tokenizer

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

LONGEST_INPUT: Final = 512
"""Most tokens that are read at once. Some such models read 8,192, and attention costs their square."""

_FILES: Final[tuple[tuple[Quantization, str], ...]] = (
    ("int8", "onnx/model_quantized.onnx"),
    ("int8", "onnx/model_int8.onnx"),
    ("float32", "onnx/model.onnx"),
    ("float32", "model.onnx"),
)
_MOST_BYTES: Final = (1 << 31) - (1 << 20)
"""Of the file in the artefact: a protocol buffer holds 2 GiB."""
_DOMAINS: Final = frozenset(("", "ai.onnx", "com.microsoft"))
"""Sets of operators that ONNX Runtime has itself."""
_LIMIT: Final = "Needs ONNX Runtime, an extra of the service that serves it."


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A network in the folder of a model."""

    path: Path
    name: str
    """In its repository, or what made it."""
    quantization: Quantization


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a network must compute, and in which order its artefact has it."""

    reader: str
    count: int
    """Logits of a text, or of a token."""
    of_tokens: bool
    order: Sequence[int] = ()
    """Numbers of the logits in the order of the artefact; empty: as they are."""


def find_onnx(source: Source, wanted: Quantization) -> OnnxFile | None:
    """Return the network that a model ships as ONNX; None where it ships none.

    Where there is none in int8, it is the one in float32.

    Raises:
        UserError: it cannot be downloaded.
    """
    for quantization, name in _FILES:
        if quantization in {wanted, "float32"} and (path := source.fetch(name)) is not None:
            return OnnxFile(path, name, quantization)
    return None


def write_onnx(saved: SavedModel, file: OnnxFile, outputs: Outputs, folder: Path) -> WrittenNetwork:
    """Check the network, and write it with its tokenizer into `folder`, which must exist.

    Raises:
        UserError: onnx or ONNX Runtime is not installed, or the network cannot be taken; the message says why.
    """
    if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
        raise UserError(
            f"{saved.folder}: is of an architecture that is taken as ONNX, which needs the Python package "
            f"{missing[0]}: {HOW_TO_INSTALL}"
        )
    model = _read(file.path)
    changed = _embed_parts(model, file.path)
    _check_operators(model, file.path)
    _check_inputs(model, file.path)
    _check_logits(model, outputs, file.path)
    if list(outputs.order) != sorted(outputs.order):
        _reorder(model, outputs.order)
        changed = True
    if changed:
        (folder / NETWORK_FILE).write_bytes(model.SerializeToString(deterministic=True))
    else:
        shutil.copyfile(file.path, folder / NETWORK_FILE)
    _write_tokenizer(saved, folder)
    longest = min(_longest_input(saved), LONGEST_INPUT)
    _try(file, outputs, longest, folder)
    return WrittenNetwork(
        outputs.reader,
        longest,
        f"network ({saved.architecture}) as ONNX in {file.quantization}, from {file.name}",
        hashlib.sha256(file.path.read_bytes()).hexdigest(),
        (_LIMIT,),
    )


def _read(path: Path) -> "ModelProto":
    import onnx  # noqa: PLC0415 - an extra, which services do not install

    if (size := path.stat().st_size) > _MOST_BYTES:
        raise UserError(f"{path}: has {size / 1e9:.1f} GB; at most {_MOST_BYTES / 1e9:.1f} can be taken")
    try:
        return onnx.load_model(path, load_external_data=False)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise UserError(f"{path}: cannot be read as ONNX ({type(error).__name__}); download it again") from None


def _embed_parts(model: "ModelProto", path: Path) -> bool:
    """Read the tensors that are stored in other files into the model; return whether there are any.

    Raises:
        UserError: such a file is not beside the model, is too small, or all of them are too large.
    """
    from onnx import TensorProto  # noqa: PLC0415 - as above

    tensors = (each for each in _within(model) if isinstance(each, TensorProto))
    stored = [each for each in tensors if each.external_data or each.data_location == TensorProto.EXTERNAL]
    files = {_part(path, tensor) for tensor in stored}
    if (size := sum(file.stat().st_size for file in (path, *files))) > _MOST_BYTES:
        raise UserError(f"{path}: has {size / 1e9:.1f} GB with its parts; at most {_MOST_BYTES / 1e9:.1f} can be taken")
    for tensor in stored:
        tensor.raw_data = _content(path, tensor)
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
    return bool(stored)


def _part(path: Path, tensor: "TensorProto") -> Path:
    """Return the file that holds a tensor."""
    name = _stated(tensor).get("location", "")
    if not name or Path(name).name != name or name in {".", ".."} or "\0" in name:
        raise UserError(f"{path}: names a file outside its own folder ({name!r:.60}); it is not read")
    if not (file := path.parent / name).is_file():
        raise UserError(f"{path}: names {name}, which is not there; download the model again")
    return file


def _content(path: Path, tensor: "TensorProto") -> bytes:
    from onnx import helper  # noqa: PLC0415 - as above

    file, stated = _part(path, tensor), _stated(tensor)
    try:
        start, length = int(stated.get("offset", 0)), int(stated.get("length", file.stat().st_size))
        needed = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (ValueError, KeyError, TypeError):
        start = length = needed = -1
    for size in tensor.dims:
        needed *= size
    if min(start, length, needed, *tensor.dims, 0) < 0 or length != needed or start + length > file.stat().st_size:
        raise UserError(
            f"{path}: {file.name} does not hold {tensor.name!r:.60} as the model states it; download it again"
        )
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(length)


def _stated(tensor: "TensorProto") -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _within(message: Any) -> Iterator[Any]:
    """Yield a message and all that are in it: nodes, tensors, and those of graphs within nodes."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if not hasattr(value, "ListFields") else (value,):
                yield from _within(each)


def _check_operators(model: "ModelProto", path: Path) -> None:
    from onnx import NodeProto  # noqa: PLC0415 - as above

    own = {(function.domain, function.name) for function in model.functions}
    for node in _within(model):
        if isinstance(node, NodeProto) and node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
            raise UserError(
                f"{path}: needs the operator {node.op_type!r:.60} of {node.domain!r:.60}, which ONNX Runtime does not "
                "have; code for it is never run"
            )


def _check_inputs(model: "ModelProto", path: Path) -> None:
    from onnx import TensorProto  # noqa: PLC0415 - as above

    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {each.name: each for each in model.graph.input if each.name not in weights}
    if IDS not in inputs or inputs.keys() - INPUTS:
        raise UserError(f"{path}: takes {_some(inputs)}; {', '.join(sorted(INPUTS))} can be given, the first is needed")
    for name, each in inputs.items():
        sizes = _sizes(each)
        if each.type.tensor_type.elem_type != TensorProto.INT64 or (sizes is not None and len(sizes) != 2):
            raise UserError(f"{path}: the input {name} is no matrix of int64, texts × tokens")
        if sizes is not None and (sizes[0] not in {0, 1} or sizes[1]):
            raise UserError(f"{path}: takes inputs of one size alone; export it with free axes for texts and tokens")


def _check_logits(model: "ModelProto", outputs: Outputs, path: Path) -> None:
    from onnx import TensorProto  # noqa: PLC0415 - as above

    named = {each.name: each for each in model.graph.output}
    if LOGITS not in named:
        raise UserError(f"{path}: computes {_some(named)}, not {LOGITS}")
    if named[LOGITS].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise UserError(f"{path}: its {LOGITS} are not float32")
    sizes = _sizes(named[LOGITS])
    if sizes is not None and (len(sizes) != 2 + outputs.of_tokens or sizes[-1] not in {0, outputs.count}):
        form = f"texts × {'tokens × ' if outputs.of_tokens else ''}{outputs.count}"
        raise UserError(f"{path}: its {LOGITS} are shaped {sizes}; by id2label they should be {form}")


def _sizes(value: "ValueInfoProto") -> list[int] | None:
    """Return the stated size of each axis, 0 for a free one; None where nothing is stated."""
    tensor = value.type.tensor_type
    return [axis.dim_value for axis in tensor.shape.dim] if tensor.HasField("shape") else None


def _reorder(model: "ModelProto", order: Sequence[int]) -> None:
    """Change the graph so that the logits of a text are in another order."""
    from numpy import array, int64  # noqa: PLC0415 - as above
    from onnx import helper, numpy_helper  # noqa: PLC0415 - as above

    graph, before, numbers = model.graph, f"sprat_{LOGITS}", "sprat_order"
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == LOGITS:
                    names[place] = before
    graph.initializer.append(numpy_helper.from_array(array(order, int64), numbers))
    graph.node.append(helper.make_node("Gather", [before, numbers], [LOGITS], axis=1))


def _write_tokenizer(saved: SavedModel, folder: Path) -> None:
    """Write the tokenizer, and a name for each id that the network knows, as :mod:`sprat_inference.tokenizer` reads."""
    path = saved.folder / TOKENIZER
    rows = saved.number("vocab_size", most=MOST_ROWS)
    write_json(folder / "vocabulary.json", vocabulary_of(path, rows))
    if len(Tokenizer.from_file(str(path)).encode("").ids) != SPECIAL_TOKENS:
        raise UserError(f"{path}: puts other tokens around a text than one on each side; it cannot be taken")
    (folder / TOKENIZER).write_bytes(path.read_bytes())


def _longest_input(saved: SavedModel) -> int:
    positions = saved.number(
        "max_position_embeddings", "n_positions", least=SPECIAL_TOKENS + 1, most=MOST_POSITIONS, default=LONGEST_INPUT
    )
    return saved.longest_input(positions)


def _try(file: OnnxFile, outputs: Outputs, longest: int, folder: Path) -> None:
    """Compute the shortest and the longest input, and the highest id."""
    try:
        _, highest = load_tokenizer(folder)
        network = OnnxNetwork.load(folder, 1)
        network.check_outputs((outputs.count,), dimensions=1 + outputs.of_tokens)
        network.logits([[highest], [highest] * longest])
    except (BrokenArtefact, ModelError, ValueError) as error:
        raise UserError(f"{file.path}: ONNX Runtime cannot compute it as its folder states it ({error})") from None


def _some(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name:.40}" for name in list(named)[:8]) or "nothing"
