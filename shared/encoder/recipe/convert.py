"""The file's weights as arrays of `BertModel`'s names, with the rows of the vocabulary that stay."""

from collections.abc import Sequence

from shared.encoder.recipe.blocks import Floats, Source

_WITHIN_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


def bert_weights(source: Source, rows: Sequence[int]) -> dict[str, Floats]:
    """Name → array; matrices are out × in. Row i of the word embeddings is row `rows[i]` of the file's."""
    flat, width = source.tensors, source.width
    weights = {
        "embeddings.word_embeddings.weight": flat["emb.word"].reshape(-1, width)[list(rows)],
        "embeddings.position_embeddings.weight": flat["emb.pos"].reshape(-1, width),
        "embeddings.token_type_embeddings.weight": flat["emb.type"].reshape(-1, width),
        "embeddings.LayerNorm.weight": flat["emb.ln.w"],
        "embeddings.LayerNorm.bias": flat["emb.ln.b"],
    }
    for layer in range(source.layers):
        for short, name in _WITHIN_LAYER.items():
            for kind, word in _KINDS.items():
                array = flat[f"l{layer}.{short}.{kind}"]
                is_matrix = kind == "w" and not short.endswith("ln")
                inputs = array.size // flat[f"l{layer}.{short}.b"].size if is_matrix else 1
                weights[f"encoder.layer.{layer}.{name}.{word}"] = array.reshape(-1, inputs) if is_matrix else array
    return weights
