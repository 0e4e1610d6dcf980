"""Make the translation models of this folder: tiny, with random weights, as `save_pretrained` of transformers 5 does.

    python tests/data/hub/make_translation.py

Needs torch, transformers and sentencepiece. Beside each model stand its texts, what transformers translates them into
by greedy search, in float32, and the logarithms of the probabilities of that translation's pieces.
"""

import json
import shutil
import tempfile
from pathlib import Path

import sentencepiece
import torch
from make import HERE, TEXTS
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    NllbTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

POSITIONS = 64
SHAPE = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 24, "max_position_embeddings": POSITIONS, "scale_embedding": True,
}  # fmt: skip


def pieces(folder: Path) -> list[str]:
    """Train a SentencePiece model, `pieces.model`, and return its pieces."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 5), model_prefix=str(folder / "pieces"), vocab_size=120, hard_vocab_limit=False,
        minloglevel=3, num_threads=1, normalization_rule_name="identity",
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    return [processor.id_to_piece(id) for id in range(3, processor.get_piece_size())]


def marian(folder: Path, *more: str) -> PreTrainedTokenizerBase:
    entries = ["</s>", "<unk>", *pieces(folder), *more, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({entry: id for id, entry in enumerate(entries)}))
    spm = str(folder / "pieces.model")
    return MarianTokenizer(spm, spm, str(folder / "vocab.json"), source_lang="deu", target_lang="eng")


def m2m(folder: Path) -> PreTrainedTokenizerBase:
    entries = ["<s>", "<pad>", "</s>", "<unk>", *pieces(folder)]
    (folder / "vocab.json").write_text(json.dumps({entry: id for id, entry in enumerate(entries)}))
    return M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "pieces.model"), src_lang="de")


def nllb(_: Path) -> PreTrainedTokenizerBase:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=150, special_tokens=special))
    stated = json.loads(tokenizer.to_str())["model"]
    return NllbTokenizer(
        vocab=stated["vocab"],
        merges=[tuple(each) for each in stated["merges"]],
        src_lang="deu_Latn",
        additional_special_tokens=["eng_Latn", "deu_Latn", "fra_Latn", "zho_Hans", "zho_Hant"],
    )


def unigram(unknown: str, special: list[str]) -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token=unknown)
    )
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


def mbart(_: Path) -> PreTrainedTokenizerBase:
    return MBart50Tokenizer(vocab=unigram("<unk>", ["<unk>", "<s>", "</s>"]), src_lang="de_DE")


def t5(_: Path) -> PreTrainedTokenizerBase:
    return T5Tokenizer(vocab=unigram("<unk>", ["<pad>", "</s>", "<unk>"]), extra_ids=10)


PREFIX = "translate German to English: "


def main() -> None:
    torch.manual_seed(3)
    for name, made in {
        "marian": (marian, MarianConfig, MarianMTModel, {"activation_function": "swish"}),
        "marian-several": (marian, MarianConfig, MarianMTModel, {"activation_function": "relu"}),
        "m2m-100": (m2m, M2M100Config, M2M100ForConditionalGeneration, {"activation_function": "relu"}),
        "nllb": (nllb, M2M100Config, M2M100ForConditionalGeneration, {"activation_function": "relu"}),
        "mbart-50": (mbart, MBartConfig, MBartForConditionalGeneration, {"activation_function": "gelu"}),
        "t5": (t5, T5Config, T5ForConditionalGeneration, {"feed_forward_proj": "relu"}),
        "t5-gated": (t5, T5Config, T5ForConditionalGeneration, {"feed_forward_proj": "gated-gelu"}),
    }.items():
        with tempfile.TemporaryDirectory() as temporary:
            write(name, *made, Path(temporary))


def write(name, make_tokenizer, make_config, make_model, more, temporary: Path) -> None:
    several = (">>deu<<", ">>fra<<", ">>eng<<") if name == "marian-several" else ()
    tokenizer = make_tokenizer(temporary, *several)
    size = len(tokenizer) + (108 if name == "m2m-100" else 0)  # 100 languages, 8 that are not used
    if name.startswith("t5"):
        config = make_config(
            vocab_size=size, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=1, num_heads=4,
            relative_attention_num_buckets=8, decoder_start_token_id=0,
            task_specific_params={"translation_de_to_en": {"prefix": PREFIX}}, **more,
        )  # fmt: skip
        if name == "t5-gated":
            config.tie_word_embeddings = False
            config.scale_decoder_outputs = False
    else:
        ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
        start = tokenizer.pad_token_id if name.startswith("marian") else tokenizer.eos_token_id
        config = make_config(vocab_size=size, **SHAPE, **more, **ids, decoder_start_token_id=start)
        if name.startswith("marian"):
            config.decoder_vocab_size = size
    model = make_model(config).eval()
    with torch.no_grad():
        for at, array in model.named_parameters():
            if "embed_positions" not in at or name == "mbart-50":
                array.add_(torch.randn_like(array) * (0.35 if array.ndim > 1 else 0.1))
        if name.startswith("marian"):
            model.final_logits_bias = torch.randn_like(model.final_logits_bias) * 0.3
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = "---\nlicense: cc-by-4.0\nlanguage:\n- de\n- en\n---\n\n# A tiny model with random weights\n"
    (folder / "README.md").write_text(card)
    again, read = make_model.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    assert again.config.vocab_size == size
    rows = [json.dumps(translate(name, again, read, text), ensure_ascii=False) for text in TEXTS[:10]]
    (folder / "expected.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def translate(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str) -> dict[str, object]:
    target = {"m2m-100": "__en__", "nllb": "eng_Latn", "mbart-50": "en_XX"}.get(name)
    read = {"t5": PREFIX + text, "t5-gated": PREFIX + text, "marian-several": ">>fra<< " + text}.get(name, text)
    ids = tokenizer(read, return_tensors="pt")["input_ids"]
    forced = None if target is None else tokenizer.convert_tokens_to_ids(target)
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    start = pad if name.startswith(("marian", "t5")) else end
    generation = GenerationConfig(
        num_beams=1, do_sample=False, max_new_tokens=16, forced_bos_token_id=forced, decoder_start_token_id=start,
        pad_token_id=pad, eos_token_id=end, suppress_tokens=[pad] if name.startswith("marian") else None,
    )  # fmt: skip
    model.generation_config = GenerationConfig()  # else what it states is merged into ours
    with torch.no_grad():
        made = model.generate(ids, generation_config=generation)
        logits = model(input_ids=ids, decoder_input_ids=made).logits[0].clone()
    if name.startswith("marian"):
        logits[:, pad] = -1e9
    logs = torch.log_softmax(logits, dim=-1)
    first = 1 if forced is None else 2
    written = made[0, first:]
    each = logs[first - 1 : -1].gather(1, written[:, None])[:, 0]
    return {
        "text": text,
        "pieces": tokenizer.convert_ids_to_tokens(ids[0]),
        "written": tokenizer.convert_ids_to_tokens(written),
        "translation": tokenizer.decode(written, skip_special_tokens=True),
        "logs": [round(float(x), 6) for x in each],
    }


if __name__ == "__main__":
    main()
