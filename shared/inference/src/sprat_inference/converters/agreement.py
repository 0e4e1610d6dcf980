"""Compare a converted model with what it was converted from, as the transformers library computes it.

torch and transformers are an extra, which nothing else needs. They read safetensors alone and run no code of the model.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np

from sprat.base.errors import UserError
from sprat_inference.card import Score
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.hub import HOW_TO_INSTALL
from sprat_inference.heads import Floats
from sprat_inference.text_to_text import PairMarks, load_pieces

LEAST_AGREEMENT: Final[dict[Quantization, float]] = {"float32": 0.99, "int8": 0.97}
"""Share of texts that must get the same label."""
AGREEMENT: Final = "agreement_with_original"
"""Name of the score."""
LEAST_CHRF: Final = 95.0
"""Of the translations, against those of the original."""
SAMPLE_TEXTS: Final = Path(__file__).with_name("texts.tsv")
"""200 texts of customers in English, German and French, written for Sprat, one a line."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two models give texts, or tokens, the same label."""

    texts: int
    """Texts or tokens."""
    same: int
    labels: int
    """How many different labels the original gives: with one alone, nothing can be compared."""
    largest_difference: float
    """Between two logits."""
    unit: str = "texts"
    """What has labels: `texts` or `tokens`."""

    @property
    def share(self) -> float:
        """Return the share of texts with the same label."""
        return self.same / self.texts

    def summary(self) -> str:
        """Return the figure in one line."""
        return f"{self.same:,} of {self.texts:,} {self.unit} get the label of the original ({self.share:.1%})"

    def score(self, versions: str) -> Score:
        """Return the figure for the card."""
        protocol = (
            f"share of {self.texts:,} {self.unit} that get the label of the original model, computed by {versions}"
        )
        return Score(name=AGREEMENT, value=self.share, protocol=protocol)


@dataclass(frozen=True, slots=True)
class Translatable:
    """A text, and the tokens that say from what into what it is to be translated."""

    text: str
    marks: PairMarks


@dataclass(frozen=True, slots=True)
class TranslationAgreement:
    """How alike the translations of two models are."""

    texts: int
    chrf: float
    """Of all texts together, 0 to 100, with those of the original as references."""

    def summary(self) -> str:
        """Return the figure in one line."""
        return f"the translations of {self.texts:,} texts have a chrF of {self.chrf:.1f} against those of the original"

    def score(self, versions: str) -> Score:
        """Return the figure for the card."""
        protocol = (
            f"chrF of {self.texts:,} texts against the translations of the original model, computed by {versions}, "
            "both by greedy search"
        )
        return Score(name=AGREEMENT, value=self.chrf, protocol=protocol)


def compare_translations(ours: Sequence[str], original: Sequence[str]) -> TranslationAgreement:
    """Compare the translations of the same texts.

    Raises:
        UserError: sacrebleu is not installed.
    """
    return TranslationAgreement(len(ours), float(_sacrebleu().corpus_chrf(list(ours), [list(original)]).score))


def chrf_of_each(translations: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return the chrF of each translation, 0 to 100.

    Raises:
        UserError: sacrebleu is not installed.
    """
    measure = _sacrebleu().sentence_chrf
    return [float(measure(each, [wanted]).score) for each, wanted in zip(translations, references, strict=True)]


def _sacrebleu() -> Any:
    try:
        import sacrebleu  # noqa: PLC0415 - an extra, which only a comparison needs
    except ModuleNotFoundError:
        raise UserError(f"comparing translations needs the Python package sacrebleu: {HOW_TO_INSTALL}") from None
    return sacrebleu


def check_translations(found: TranslationAgreement) -> None:
    """Check that the converted model may take the place of the original.

    Raises:
        UserError: its translations differ too much.
    """
    if found.chrf < LEAST_CHRF:
        raise UserError(
            f"the translations of {found.texts:,} texts have a chrF of {found.chrf:.1f} against those of the original, "
            f"{LEAST_CHRF:.0f} is needed; try --quantization float32, or add it as it is with --force"
        )


def sample_texts() -> list[str]:
    """Return the texts that are compared where the user names none."""
    return SAMPLE_TEXTS.read_text(encoding="utf-8").splitlines()


def compare(ours: Floats, original: Floats, unit: str = "texts") -> Agreement:
    """Compare the logits of the same texts or tokens, each float32, texts × classes in one order."""
    same = int((ours.argmax(axis=1) == original.argmax(axis=1)).sum())
    return Agreement(len(ours), same, len(set(original.argmax(axis=1))), float(np.abs(ours - original).max()), unit)


def check_agreement(found: Agreement, quantization: Quantization) -> None:
    """Check that the converted model may take the place of the original.

    Raises:
        UserError: it gives too many texts another label, or the texts do not tell.
    """
    least = LEAST_AGREEMENT[quantization]
    if found.labels < 2:
        raise UserError(
            f"all {found.texts:,} {found.unit} get one label from the original, so nothing is compared; name texts of "
            "yours with --test, or add the model as it is with --force"
        )
    if found.share < least:
        raise UserError(
            f"the converted model gives {found.same:,} of {found.texts:,} {found.unit} ({found.share:.1%}) the label "
            f"of the original, {least:.0%} are needed; try --quantization float32, or add it as it is with --force"
        )


def original_logits(
    folder: Path, texts: Sequence[str], max_tokens: int, *, of_tokens: bool = False
) -> tuple[list[Floats], str]:
    """Return the logits of the original for each text, in its own order of the labels, and what computed them.

    Args:
        folder: of the original.
        texts: the texts.
        max_tokens: of a text that are read, the special ones included.
        of_tokens: whether each token has labels, instead of the text.

    Returns:
        For each text float32, 1 × outputs, or tokens × outputs without the special tokens.

    Raises:
        UserError: torch or transformers is not installed, or cannot read the model.
    """
    torch, transformers = load_libraries()
    kind = (
        transformers.AutoModelForTokenClassification if of_tokens else transformers.AutoModelForSequenceClassification
    )
    try:
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        model = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        ).eval()
        found = []
        with torch.inference_mode():
            for text in texts:
                ids = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")["input_ids"]
                logits = model(ids).logits.float().numpy()
                found.append(logits[0, 1:-1] if of_tokens else logits)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{folder}: transformers cannot read the model ({type(error).__name__}: {error})") from None
    return found, _computed_by(transformers)


def original_translations(
    folder: Path, texts: Sequence[Translatable], longest: int, *, not_written: str | None = None
) -> tuple[list[str], str]:
    """Return what the original translates texts into by greedy search, in their order, and what computed it.

    Args:
        folder: of the original.
        texts: the texts.
        longest: most tokens that are written.
        not_written: a token that it must not write.

    Raises:
        UserError: torch or transformers is not installed, or cannot read the model.
    """
    torch, transformers = load_libraries()
    try:
        with warnings.catch_warnings(action="ignore"):  # Marian's recommends a package that it does not use
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        ).eval()
        config, found = model.config, []
        start = model.generation_config.decoder_start_token_id
        model.generation_config = transformers.GenerationConfig()  # else what it states is merged into ours
        with torch.inference_mode():
            for each in texts:
                ids = tokenizer.convert_tokens_to_ids(
                    each.marks.around(tokenizer.tokenize(each.text, add_special_tokens=False))
                )
                first = tokenizer.convert_tokens_to_ids(list(each.marks.start))
                options = transformers.GenerationConfig(
                    num_beams=1,
                    do_sample=False,
                    max_new_tokens=longest + len(first),
                    decoder_start_token_id=config.decoder_start_token_id if start is None else start,
                    forced_bos_token_id=first[0] if first else None,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                    suppress_tokens=[tokenizer.convert_tokens_to_ids(not_written)] if not_written else None,
                )
                written = model.generate(torch.tensor([ids]), generation_config=options)[0]
                found.append(tokenizer.decode(written[1 + len(first) :], skip_special_tokens=True))
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise UserError(f"{folder}: transformers cannot read the model ({type(error).__name__}: {error})") from None
    return found, _computed_by(transformers)


def converted_translations(folder: Path, texts: Sequence[Translatable], longest: int) -> list[str]:
    """Return what the artefact in `folder` translates texts into by greedy search, in their order.

    Raises:
        UserError: CTranslate2 cannot compute it.
    """
    pieces = load_pieces(folder)
    encoded = pieces.encode([each.text for each in texts])
    translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=1)
    found = []
    try:
        for each, source in zip(texts, encoded, strict=True):
            start = list(each.marks.start)
            (result,) = translator.translate_batch(
                [each.marks.around(source)],
                target_prefix=[start] if start else None,
                beam_size=1,
                min_decoding_length=0,
                max_input_length=0,
                max_decoding_length=longest + len(start),
            )
            found.append(pieces.decode(result.hypotheses[0][len(start) :]))
    except RuntimeError as error:
        raise UserError(f"{folder}: CTranslate2 cannot compute a translation ({error})") from None
    return found


def load_libraries() -> tuple[Any, Any]:
    """Return torch and transformers, made quiet.

    Raises:
        UserError: one is not installed.
    """
    try:
        import torch  # noqa: PLC0415 - an extra, which only a comparison needs
        import transformers  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise UserError(
            f"comparing with the original needs the Python package {error.name}: {HOW_TO_INSTALL}; "
            "--no-compare adds the model without, and its card says so"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers


def _computed_by(transformers: Any) -> str:
    return f"transformers {transformers.__version__} in float32"
