"""Convert the float32 weights of a checkpoint to CTranslate2, int8 or float32, and compare both translations."""

import json
import shutil
from pathlib import Path

import ctranslate2
import numpy as np
import sentencepiece
import torch
from ctranslate2.specs import Activation, TransformerDecoderSpec, TransformerEncoderSpec, TransformerSpec
from torch import Tensor

from recipes.translation.network import END, START, Shape, Translator, sinusoids

Weights = dict[str, Tensor]


def convert(weights: Weights, shape: Shape, vocabulary: Path, folder: Path, quantization: str | None = "int8") -> None:
    """Write `folder`: model.bin, config.json, shared_vocabulary.json, source.spm, target.spm."""
    same = {"pre_norm": True, "activation": Activation.RELU}
    spec = TransformerSpec(
        TransformerEncoderSpec(shape.encoder_layers, shape.heads, **same),
        TransformerDecoderSpec(shape.decoder_layers, shape.heads, **same),
    )
    # Arrays are copied: `optimize` below rewrites them in place. The table is one object, so it is stored once.
    arrays = {name: w.detach().float().numpy().copy() for name, w in weights.items()}
    places = sinusoids(shape.length, shape.width).numpy()
    table = arrays["table"]
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
    for part, name, layers in ((spec.encoder, "encoder", 2), (spec.decoder, "decoder", 3)):
        part.scale_embeddings = True
        part.position_encodings.encodings = places.copy()
        _norm(part.layer_norm, arrays, f"{name}_norm")
        for n, layer in enumerate(part.layer):
            _attention(layer.self_attention, arrays, f"{name}.{n}.0", ("all", "out"))
            if layers == 3:
                _attention(layer.attention, arrays, f"{name}.{n}.1", ("query", "both", "out"))
            inner = f"{name}.{n}.{layers - 1}"
            _norm(layer.ffn.layer_norm, arrays, f"{inner}.norm")
            _linear(layer.ffn.linear_0, arrays, f"{inner}.wide")
            _linear(layer.ffn.linear_1, arrays, f"{inner}.narrow")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
    words = [pieces.id_to_piece(n) for n in range(pieces.get_piece_size())]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.add_source_eos = True
    spec.config.decoder_start_token = words[START]
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = words[START], words[END], "<unk>"
    spec.validate()
    spec.optimize(quantization=quantization)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec.save(str(folder))
    for name in ("source.spm", "target.spm"):
        shutil.copyfile(vocabulary, folder / name)


def load(folder: Path) -> tuple[Weights, Shape]:
    """Return the averaged weights of the checkpoint in a run's folder, and their shape."""
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    return saved["average"], Shape(**json.loads((folder / "shape.json").read_text()))


def greedy(network: Translator, source: list[int], most: int = 100) -> list[int]:
    """Return torch's greedy translation of source ids, end mark included, to compare with the converted model."""
    said = [START]
    with torch.no_grad():
        memory = network.encode(torch.tensor([source]))
        while len(said) <= most:
            state = network.decode(memory, torch.tensor([said]))[0, -1]
            said.append(int((network.table @ state).argmax()))
            if said[-1] == END:
                break
    return [piece for piece in said[1:] if piece != END]


def agreement(weights: Weights, shape: Shape, folder: Path, texts: list[str]) -> int:
    """Return how many of `texts` torch and the converted float32 model in `folder` translate to equal pieces."""
    network = Translator(shape, dropout=0.0)
    network.load_state_dict(weights)
    network.eval()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    translator = ctranslate2.Translator(str(folder), "cpu", intra_threads=1, compute_type="float32")
    answers = translator.translate_batch(
        [pieces.encode(t, out_type=str) for t in texts], beam_size=1, max_decoding_length=100
    )
    torch_said = [pieces.id_to_piece(greedy(network, [*pieces.encode(t), END])) for t in texts]
    return sum(answer.hypotheses[0] == said for answer, said in zip(answers, torch_said, strict=True))


def _norm(spec: object, arrays: dict[str, np.ndarray], name: str) -> None:
    spec.gamma, spec.beta = arrays[f"{name}.weight"], arrays[f"{name}.bias"]  # type: ignore[attr-defined]  # untyped library


def _linear(spec: object, arrays: dict[str, np.ndarray], name: str) -> None:
    spec.weight, spec.bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]  # type: ignore[attr-defined]  # untyped library


def _attention(spec: object, arrays: dict[str, np.ndarray], name: str, maps: tuple[str, ...]) -> None:
    _norm(spec.layer_norm, arrays, f"{name}.norm")  # type: ignore[attr-defined]  # untyped library
    for n, part in enumerate(maps):
        _linear(spec.linear[n], arrays, f"{name}.{part}")  # type: ignore[attr-defined]  # untyped library
