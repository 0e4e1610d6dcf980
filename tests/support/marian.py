"""A translation model of Marian's format, as OPUS-MT publishes it, but tiny and random: it translates into nonsense."""

import json
from pathlib import Path

import numpy as np
import sentencepiece
import yaml

WIDTH, WIDE, HEADS = 16, 32, 2
_TEXT = "where is my order the parcel has been sent to you and will come on Monday please wait for us thank"


def write_opus_mt(folder: Path, *, symbols: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> None:
    """Write the files of an OPUS-MT download; `symbols` become pieces, and `more` entries of the vocabulary."""
    folder.mkdir(parents=True)
    pieces = _vocabulary(folder, symbols)
    entries = ["</s>", "<unk>", *pieces, *more, "<pad>"]
    lines = [f"{json.dumps(entry, ensure_ascii=False)}: {place}\n" for place, entry in enumerate(entries)]
    (folder / "opus.vocab.yml").write_text("".join(lines), encoding="utf-8")
    (folder / "decoder.yml").write_text(
        yaml.safe_dump({"models": ["opus.npz"], "vocabs": ["opus.vocab.yml", "opus.vocab.yml"], "beam-size": 6})
    )
    np.savez(folder / "opus.npz", **_weights(len(entries)))


def _vocabulary(folder: Path, symbols: tuple[str, ...]) -> list[str]:
    dice = np.random.default_rng(0)
    texts = [" ".join(dice.choice(_TEXT.split(), 6)).capitalize() + dice.choice([".", "?", "!"]) for _ in range(300)]
    texts += ["0 1 2 3 4 5 6 7 8 9", "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ , ; : - ' ( )"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(folder / "source"),
        vocab_size=150,
        hard_vocab_limit=False,
        user_defined_symbols=list(symbols),
        num_threads=1,
        minloglevel=3,
    )
    (folder / "source.vocab").unlink()
    (folder / "source.model").rename(folder / "source.spm")
    (folder / "target.spm").write_bytes((folder / "source.spm").read_bytes())
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    pieces = [processor.id_to_piece(place) for place in range(processor.get_piece_size())]
    return [piece for piece in pieces if piece not in {"<s>", "</s>", "<unk>"}]


def _weights(entries: int) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {}

    def linear(name: str, suffix: str, rows: int, columns: int) -> None:
        arrays[f"{name}_W{suffix}"] = dice.normal(0, 0.3, (rows, columns)).astype(np.float32)
        arrays[f"{name}_b{suffix}"] = np.zeros((1, columns), np.float32)

    def norm(name: str) -> None:
        arrays[f"{name}_ln_scale"] = np.ones((1, WIDTH), np.float32)
        arrays[f"{name}_ln_bias"] = np.zeros((1, WIDTH), np.float32)

    for name in ("encoder_l1_self", "decoder_l1_self", "decoder_l1_context"):
        for suffix in ("q", "k", "v", "o"):
            linear(name, suffix, WIDTH, WIDTH)
        norm(f"{name}_Wo")
    for name in ("encoder_l1_ffn", "decoder_l1_ffn"):
        linear(name, "1", WIDTH, WIDE)
        linear(name, "2", WIDE, WIDTH)
        norm(f"{name}_ffn")
    arrays["Wemb"] = dice.normal(0, 0.5, (entries, WIDTH)).astype(np.float32)
    arrays["decoder_ff_logit_out_b"] = np.zeros((1, entries), np.float32)
    config = {
        "type": "transformer",
        "enc-depth": 1,
        "dec-depth": 1,
        "transformer-heads": HEADS,
        "transformer-ffn-activation": "swish",
        "transformer-preprocess": "",
        "transformer-postprocess": "dan",
        "transformer-postprocess-emb": "d",
        "transformer-decoder-autoreg": "self-attention",
        "transformer-no-projection": False,
        "transformer-guided-alignment-layer": "last",
    }
    arrays["special:model.yml"] = np.frombuffer(yaml.safe_dump(config).encode() + b"\0", np.int8)
    return arrays
