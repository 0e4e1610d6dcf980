"""Write pieces and scores as a `tokenizer.json` that tokenises like SentencePiece's unigram model."""

import io
from collections.abc import Sequence

import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from recipes.encoder.weights import Floats

OPENING, PADDING, CLOSING, UNKNOWN = SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
"""The first four pieces, in this order."""

NEVER = -10_000.0
"""Score of the special pieces. With their original score, 0, the text "</s>" would become the closing token."""

_NORMALISATION, _MAP = 3, 2
"""Field numbers, in SentencePiece's file, of the normaliser and of its map."""


def unigram(pieces: Sequence[str], scores: Floats) -> Tokenizer:
    """Return a tokenizer whose ids are indices of `pieces`, which begins with :data:`SPECIALS`."""
    if tuple(pieces[: len(SPECIALS)]) != SPECIALS:
        raise ValueError(f"the pieces begin with {pieces[: len(SPECIALS)]}")
    scored = [NEVER] * len(SPECIALS) + [float(score) for score in scores[len(SPECIALS) :]]
    vocabulary = list(zip(pieces, scored, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIALS.index(UNKNOWN), byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(nmt_nfkc_map()),
            normalizers.Replace("\0", " "),  # the only control character that the map leaves
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{OPENING} $A {CLOSING}",
        pair=f"{OPENING} $A {CLOSING} {CLOSING} $B {CLOSING}",
        special_tokens=[(name, SPECIALS.index(name)) for name in (OPENING, CLOSING)],
    )
    return tokenizer


def nmt_nfkc_map() -> bytes:
    """Return SentencePiece's map of the normalisation `nmt_nfkc`, from a model trained on one line.

    The package carries it in a form of its own; every model trained with that rule carries it in the form that
    `tokenizers` reads.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b"]),
        model_writer=model,
        vocab_size=6,
        model_type="unigram",
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return _field(_field(model.getvalue(), _NORMALISATION), _MAP)


def _field(message: bytes, wanted: int) -> bytes:
    """Return the first length-delimited field with this number in a Protocol Buffers message.

    Raises:
        KeyError: when there is none.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 2:
            length, at = _varint(message, at)
            if number == wanted:
                return message[at : at + length]
            at += length
        elif kind == 0:
            _, at = _varint(message, at)
        else:
            at += {1: 8, 5: 4}[kind]
    raise KeyError(wanted)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
