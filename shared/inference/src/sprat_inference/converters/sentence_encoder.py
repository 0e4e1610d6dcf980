"""Convert a sentence encoder to the files that a head is fitted on, without torch.

It is a folder as sentence-transformers writes it, whose `modules.json` names transformer, pooling and normalisation, or
a plain encoder as transformers writes it, of which the mean is taken.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sprat.base.errors import UserError
from sprat_inference.artefact import write_part
from sprat_inference.card import PartCard
from sprat_inference.converters.bert import Quantization, write_bert
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.families import encoder_of, family_of
from sprat_inference.converters.saved_model import SavedModel, Weights, bounded
from sprat_inference.encoder import Pooling

READER: Final = "sprat-sentence-encoder/1"
"""Of the card, which only the training reads."""
LONGEST: Final = 256
"""Most tokens read of a text. Attention costs their square."""
_MODULES: Final = frozenset(("Transformer", "Pooling", "Normalize"))
_MODES: Final = {"cls": "cls", "mean": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}


def convert_encoder(
    saved: SavedModel,
    weights: Weights,
    provenance: Provenance,
    folder: Path,
    *,
    prefix: str | None = None,
    quantization: Quantization = "int8",
) -> PartCard:
    """Write the encoder into `folder`, which must exist and be empty, and return its card.

    Args:
        saved: the model.
        weights: all its arrays.
        provenance: what its files do not state.
        folder: of the encoder.
        prefix: read before every text; None for the one that the model states.
        quantization: of the weights.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        family_of(saved)
        pooling = Pooling(_pooling(saved), _stated_prefix(saved) if prefix is None else prefix)
        encoder = encoder_of(saved, weights)
        write_bert(encoder.weights, encoder.shape, saved.folder / "tokenizer.json", folder, quantization)
    pooling.save(folder)
    longest = min(saved.longest_input(encoder.positions), _stated_longest(saved), LONGEST)
    work = provenance.work(f"encoder ({saved.architecture}), converted to CTranslate2 in {quantization}")
    return write_part(
        folder,
        {
            "name": provenance.name,
            "reader": READER,
            "languages": provenance.languages,
            "max_tokens": longest,
            "licence": provenance.licence,
            "made_of": (work,),
            "scores": (),
        },
    )


def _stated_longest(saved: SavedModel) -> int:
    file, name = "sentence_bert_config.json", "max_seq_length"
    stated = saved.object_in(file, missing_ok=True).get(name)
    return LONGEST if stated is None else bounded(saved.folder / file, name, stated, least=3, most=1 << 20)


def _pooling(saved: SavedModel) -> Any:
    """Return which vector is that of a text: `mean` or `cls`."""
    modules = _modules(saved)
    if not modules:
        return "mean"
    kinds = [str(module.get("type")).rpartition(".")[2] for module in modules]
    if others := [kind for kind in kinds if kind not in _MODULES]:
        raise UserError(f"{saved.folder}: modules.json names {', '.join(others)}, which cannot be converted")
    if "Pooling" not in kinds:
        raise UserError(f"{saved.folder}: modules.json names no Pooling; it is no sentence encoder")
    path = f"{modules[kinds.index('Pooling')].get('path')}/config.json"
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise UserError(f"{saved.folder}: modules.json names a file outside this folder")
    stated = saved.object_in(path)
    modes = {name for name, value in stated.items() if name.startswith("pooling_mode_") and value is True}
    modes |= {str(stated["pooling_mode"])} if "pooling_mode" in stated else set()
    found = {_MODES.get(mode) for mode in modes}
    if len(found) != 1 or None in found:
        raise UserError(f"{saved.folder / path}: is a pooling by {' and '.join(sorted(modes))}; mean or cls is needed")
    return found.pop()


def _modules(saved: SavedModel) -> Sequence[Mapping[str, Any]]:
    path = saved.folder / "modules.json"
    if not path.is_file():
        return ()
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if not isinstance(modules, list) or not all(isinstance(each, Mapping) for each in modules):
        raise UserError(f"{path}: is no list of modules")
    return modules


def _stated_prefix(saved: SavedModel) -> str:
    """Return the prompt that the model uses where none is asked for."""
    stated = saved.object_in("config_sentence_transformers.json", missing_ok=True)
    prompts, default = stated.get("prompts"), stated.get("default_prompt_name")
    return str(prompts.get(default, "")) if isinstance(prompts, Mapping) and default else ""
