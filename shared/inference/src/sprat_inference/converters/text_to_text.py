"""Convert a translation model for the transformers library to an artefact of the translation service, without torch."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ctranslate2
from tokenizers import Tokenizer

from sprat.base.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.language_codes import M2M_100, languages_in, tag_of
from sprat_inference.converters.opus_mt import LONGEST_SENTENCE, uncalibrated_card
from sprat_inference.converters.saved_model import MOST_POSITIONS, TOKENIZER, SavedModel, Weights, bounded
from sprat_inference.converters.seq2seq import (
    AROUND_TRANSLATION,
    LEAST_POSITIONS,
    SEQ2SEQ_FAMILIES,
    Seq2SeqFamily,
    Seq2SeqModel,
)
from sprat_inference.text_to_text import (
    SOURCE_PIECES,
    TARGET_PIECES,
    TEXT_TO_TEXT_READER,
    LanguageMarks,
    Tokens,
    load_pieces,
)

Pairs = Sequence[tuple[str, str]]


def convert_text_to_text(
    saved: SavedModel,
    provenance: Provenance,
    pairs: Pairs,
    folder: Path,
    *,
    quantization: Quantization = "int8",
    prefix: str | None = None,
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Args:
        saved: the model, opened with :data:`TOKENIZERS`.
        provenance: what its files do not state; its languages are not read.
        pairs: source and target, BCP 47. It serves every source with every target of them. None at all: those that the
            model's own files name.
        folder: of the artefact.
        quantization: of the weights.
        prefix: words before every text, for T5; None for those that its configuration has for the pair.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        family = _family_of(saved)
        weights = saved.weights()
        vocabulary = _vocabulary_of(saved, _rows(saved, weights))
        model = Seq2SeqModel(saved, weights, vocabulary, family, saved.settings)
        _copy_tokenizer(saved, folder)
        marks, languages, targets = _marks(model, pairs or _stated_pair(saved, provenance), prefix, folder)
        spec = family.write(model)
        for register in (spec.register_source_vocabulary, spec.register_target_vocabulary):
            register(vocabulary)
        spec.config.unk_token = "<unk>"  # noqa: S105 - a token of a vocabulary
        spec.config.eos_token = model.token("eos_token_id", 1 if family.start == "pad_token_id" else 2)
        spec.config.bos_token = spec.config.decoder_start_token = model.token(
            "decoder_start_token_id", saved.number(family.start, least=0, most=len(vocabulary) - 1)
        )
        spec.validate()
        spec.optimize(quantization=None if quantization == "float32" else quantization)
        spec.save(str(folder))
        longest = _longest_sentence(saved)
        marks.save(folder)
        translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=1)
        translator.score_batch([[vocabulary[-1]] * longest], [[vocabulary[-1]] * (2 * longest + 10)])
    return write_artefact(folder, _card(saved, provenance, languages, targets, longest, quantization))


def _family_of(saved: SavedModel) -> Seq2SeqFamily:
    kind = str(saved.config["model_type"])
    if (family := SEQ2SEQ_FAMILIES.get(kind)) is None:
        can = ", ".join(sorted(SEQ2SEQ_FAMILIES))
        own = "; its repository has code of its own, which is never run" if saved.runs_own_code else ""
        raise UserError(f"{saved.folder}: is of the architecture {kind}; {can} can be converted for translation{own}")
    if saved.architecture and not saved.architecture.endswith(("ForConditionalGeneration", "MTModel")):
        raise UserError(
            f"{saved.folder}: config.json names {saved.architecture}; a model that translates is a "
            "…ForConditionalGeneration or a MarianMTModel"
        )
    if saved.config.get("share_encoder_decoder_embeddings", True) is False:
        raise UserError(f"{saved.folder}: has two vocabularies, which cannot be converted; take a model with one")
    return family


TOKENIZERS: Final = (
    ("source.spm", "target.spm", "vocab.json"),
    ("sentencepiece.bpe.model", "vocab.json"),
    (TOKENIZER,),
)
"""Forms of a tokenizer; the first that is complete is read."""


def _tokenizer_files(saved: SavedModel) -> tuple[str, ...]:
    return next(files for files in TOKENIZERS if all((saved.folder / name).is_file() for name in files))


def _rows(saved: SavedModel, weights: Weights) -> int:
    """Return how many ids the embeddings have rows for."""
    shared = [array for name in ("model.shared.weight", "shared.weight") if (array := weights.get(name)) is not None]
    own = [array for name, array in weights.items() if name.endswith("embed_tokens.weight")]
    if not (found := [*shared, *own]):
        raise UserError(f"{saved.folder}: the weights lack model.shared.weight; download the model again")
    return len(found[0])


def _vocabulary_of(saved: SavedModel, rows: int) -> list[str]:
    """Return a name for each row of the embeddings; rows that no token uses, which some models have, get one, too."""
    files = _tokenizer_files(saved)
    try:
        if files == (TOKENIZER,):
            tokenizer = Tokenizer.from_file(str(saved.folder / TOKENIZER))
            ids = tokenizer.get_vocab(with_added_tokens=True)
        else:
            ids = saved.object_in("vocab.json")
            ids |= {token: len(ids) + place for place, token in enumerate(_languages_beside(saved))}
        file = saved.folder / files[-1]
        names = {
            bounded(file, f"the id of {token!r:.40}", id, least=0, most=rows - 1): token for token, id in ids.items()
        }
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise UserError(f"{saved.folder}: its tokenizer cannot be read ({error})") from None
    return [names.get(id, f"<unused{id}>") for id in range(rows)]


def _languages_beside(saved: SavedModel) -> list[str]:
    """Return the tokens of languages that `vocab.json` of M2M-100 lacks; their ids follow, in their order."""
    return [f"__{code}__" for code in M2M_100] if saved.config["model_type"] == "m2m_100" else []


def _copy_tokenizer(saved: SavedModel, folder: Path) -> None:
    files = _tokenizer_files(saved)
    names = {"source.spm": SOURCE_PIECES, "target.spm": TARGET_PIECES, "sentencepiece.bpe.model": SOURCE_PIECES}
    for name in files:
        if name == TOKENIZER or name in names:
            shutil.copyfile(saved.folder / name, folder / names.get(name, name))


def _longest_sentence(saved: SavedModel) -> int:
    """Return the most pieces of a sentence whose translation, twice as long, still has positions."""
    if saved.config.get("max_position_embeddings") is None:
        return LONGEST_SENTENCE
    positions = saved.number("max_position_embeddings", least=LEAST_POSITIONS, most=MOST_POSITIONS)
    return max(3, min(LONGEST_SENTENCE, (positions - AROUND_TRANSLATION) // 2))


def _marks(
    model: Seq2SeqModel, pairs: Pairs, prefix: str | None, folder: Path
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    """Return the tokens that name languages, and the tags of sources and targets."""
    kind = model.saved.config["model_type"]
    if kind in {"t5", "mt5"}:
        return _marks_of_t5(model, pairs, prefix, folder)
    if prefix is not None:
        raise UserError("--task-prefix: is for T5; other models are told the languages by tokens")
    known = languages_in(model.vocabulary)
    if kind == "marian" and not known:
        source, target = _only_pair(model.saved, pairs)
        return LanguageMarks({source: ()}, {target: ()}, {target: ()}), (source,), (target,)
    if kind == "marian":
        return _marks_of_several_targets(model, pairs, known)
    if kind == "mbart" and "MBart50" not in str(model.saved.object_in("tokenizer_config.json", missing_ok=True)):
        raise UserError(f"{model.saved.folder}: mBART of 25 languages cannot be converted; take one of mBART-50")
    sources, targets = _sides(pairs) if pairs else (tuple(known), tuple(known))
    if unknown := [tag for tag in (*sources, *targets) if tag not in known]:
        raise UserError(f"{model.saved.folder}: does not know {', '.join(unknown)}; it knows {', '.join(known)}")
    start = {tag: (known[tag],) for tag in targets}
    return LanguageMarks({tag: (known[tag],) for tag in sources}, {}, start), sources, targets


def _marks_of_several_targets(
    model: Seq2SeqModel, pairs: Pairs, known: Mapping[str, str]
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    """Return the marks of a Marian model that is told its target by a token before the text."""
    if not pairs:
        raise UserError(
            f"{model.saved.folder}: translates into {', '.join(known)}; say from what into what with --language, such "
            f"as en-{next(iter(known))}"
        )
    sources, targets = _sides(pairs)
    if unknown := [tag for tag in targets if tag not in known]:
        raise UserError(
            f"{model.saved.folder}: does not translate into {', '.join(unknown)}, but into {', '.join(known)}"
        )
    marks = LanguageMarks(dict.fromkeys(sources, ()), {tag: (known[tag],) for tag in targets}, {})
    return marks, sources, targets


def _marks_of_t5(
    model: Seq2SeqModel, pairs: Pairs, prefix: str | None, folder: Path
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    source, target = _only_pair(model.saved, pairs)
    if prefix is None:
        stated = model.saved.config.get("task_specific_params") or {}
        prefix = (stated.get(f"translation_{source}_to_{target}") or {}).get("prefix")
    if prefix is None:
        raise UserError(
            f"{model.saved.folder}: config.json has no words before a text for {source} → {target}; name them with "
            '--task-prefix, such as "translate English to German: ", or --task-prefix "" for none'
        )
    tokens: Tokens = tuple(load_pieces(folder).encode([prefix])[0]) if prefix else ()
    return LanguageMarks({source: tokens}, {}, {}), (source,), (target,)


def _only_pair(saved: SavedModel, pairs: Pairs) -> tuple[str, str]:
    if len(set(pairs)) > 1:
        raise UserError(f"{saved.folder}: translates one pair of languages; name it with --language, once")
    if not pairs:
        raise UserError(f"{saved.folder}: states no languages; name them with --language, such as de-en")
    return pairs[0]


def _stated_pair(saved: SavedModel, provenance: Provenance) -> Pairs:
    """Return the pair that a Marian model's tokenizer states, else the one in its name: `opus-mt-de-en`."""
    if saved.config["model_type"] != "marian":
        return ()
    stated = saved.object_in("tokenizer_config.json", missing_ok=True)
    source, target = stated.get("source_lang"), stated.get("target_lang")
    if isinstance(source, str) and isinstance(target, str):
        return ((tag_of(source), tag_of(target)),)
    named = re.search(r"-([a-z]{2,3})-([a-z]{2,3})(?:@|$)", provenance.source)
    return ((tag_of(named[1]), tag_of(named[2])),) if named else ()


def _sides(pairs: Pairs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(dict.fromkeys(source for source, _ in pairs)), tuple(dict.fromkeys(target for _, target in pairs))


def _card(
    saved: SavedModel,
    provenance: Provenance,
    languages: tuple[str, ...],
    targets: tuple[str, ...],
    longest: int,
    quantization: Quantization,
) -> dict[str, Any]:
    return {
        "name": provenance.name,
        "reader": TEXT_TO_TEXT_READER,
        "languages": languages,
        "targets": targets,
        "max_tokens": longest,
        "licence": provenance.licence,
        "made_of": (
            provenance.work(
                f"the network ({saved.architecture}), converted to CTranslate2 in {quantization}, and its vocabulary"
            ),
        ),
        **uncalibrated_card(longest),
    }
