"""Make the network of a model as ONNX from its weights, where CTranslate2 does not have its architecture.

transformers computes the model and torch's exporter writes what it computes. No code of a repository is run.
"""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from sprat.base.errors import UserError
from sprat_inference.converters.agreement import load_libraries
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.hub import HOW_TO_INSTALL
from sprat_inference.converters.onnx_model import OnnxFile
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.onnx_network import IDS, LOGITS, MASK, NETWORK_FILE

_OF_TEXTS: Final = "ForSequenceClassification"
_OF_TOKENS: Final = "ForTokenClassification"
_NEEDS: Final = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")
_EXAMPLE: Final = (2, 8)
"""Texts × tokens of the input that the exporter follows; other sizes than 1, which it would take as fixed."""


def export_onnx(saved: SavedModel, quantization: Quantization, folder: Path) -> OnnxFile:
    """Write the network of a model into `folder`, and return where it is.

    Raises:
        UserError: a package is not installed, the model labels neither texts nor tokens, or it cannot be exported.
    """
    if not saved.architecture.endswith((_OF_TEXTS, _OF_TOKENS)):
        raise UserError(
            f"{saved.folder}: config.json names {saved.architecture or 'no architecture'}; --export-onnx takes a "
            f"…{_OF_TEXTS} or a …{_OF_TOKENS}"
        )
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise UserError(f"--export-onnx: needs the Python package {missing[0]}: {HOW_TO_INSTALL}")
    torch, transformers = load_libraries()
    path = folder / NETWORK_FILE
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # torch and ONNX Runtime advise those who write exporters
    try:
        with warnings.catch_warnings(action="ignore"):
            _export(_model(saved, torch, transformers), path, torch)
            _clean(path)
            if quantization == "int8":
                path = _in_int8(path)
    except Exception as error:  # noqa: BLE001 - the libraries raise nothing more special
        raise UserError(
            f"{saved.folder}: torch {torch.__version__} cannot export {saved.architecture} as ONNX "
            f"({type(error).__name__}); export it elsewhere, and give the folder with onnx/model.onnx in it"
        ) from None
    finally:
        logging.disable(level)
    by = f"an export by torch {torch.__version__} and transformers {transformers.__version__}"
    return OnnxFile(path, by, quantization)


def _model(saved: SavedModel, torch: Any, transformers: Any) -> Any:
    """Return the model as a module whose only output are its logits."""
    kind = (
        transformers.AutoModelForTokenClassification
        if saved.architecture.endswith(_OF_TOKENS)
        else transformers.AutoModelForSequenceClassification
    )
    model = kind.from_pretrained(
        saved.folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=torch.float32,
        attn_implementation="eager",
    ).eval()

    class Logits(torch.nn.Module):  # type: ignore[misc] # torch is an extra
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    return Logits()


def _export(model: Any, path: Path, torch: Any) -> None:
    # Different tensors: the exporter takes one that is given twice for one input.
    ids, mask = (torch.full(_EXAMPLE, value, dtype=torch.long) for value in (5, 1))
    free = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    torch.onnx.export(
        model,
        (ids, mask),
        path,
        input_names=[IDS, MASK],
        output_names=[LOGITS],
        dynamic_shapes={IDS: free, MASK: free},
        external_data=False,
        dynamo=True,
        verbose=False,
    )


def _clean(path: Path) -> None:
    """Remove the traces of the stack: nine tenths of a small file, with paths of this machine."""
    import onnx  # noqa: PLC0415 - an extra, which services do not install

    network = onnx.load_model(path)
    for each in (*network.graph.node, *network.graph.initializer, *network.graph.value_info, network.graph, network):
        each.ClearField("metadata_props")
    network.graph.ClearField("value_info")
    onnx.save_model(network, path)


def _in_int8(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - as above

    quantized = path.with_stem(f"{path.stem}_quantized")
    quantize_dynamic(path, quantized, weight_type=QuantType.QInt8, per_channel=True)
    return quantized
