"""Compare a converted model with what it was converted from, as the transformers library computes it.

torch and transformers are an extra, which nothing else needs. They read safetensors alone and run no code of the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sprat.errors import UserError
from sprat_inference.card import Score
from sprat_inference.converters.bert import Quantization
from sprat_inference.heads import Floats

LEAST_AGREEMENT: Final[dict[Quantization, float]] = {"float32": 0.99, "int8": 0.97}
"""Share of texts that must get the same label."""
SAMPLE_TEXTS: Final = Path(__file__).with_name("texts.tsv")
"""200 texts of customers in English, German and French, written for Sprat, one a line."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two models give texts the same label."""

    texts: int
    same: int
    labels: int
    """How many different labels the original gives: with one alone, nothing can be compared."""
    largest_difference: float
    """Between two logits."""

    @property
    def share(self) -> float:
        """Return the share of texts with the same label."""
        return self.same / self.texts

    def score(self, versions: str) -> Score:
        """Return the figure for the card."""
        protocol = f"share of {self.texts:,} texts that get the label of the original model, computed by {versions}"
        return Score(name="agreement_with_original", value=self.share, protocol=protocol)


def sample_texts() -> list[str]:
    """Return the texts that are compared where the user names none."""
    return SAMPLE_TEXTS.read_text(encoding="utf-8").splitlines()


def compare(ours: Floats, original: Floats) -> Agreement:
    """Compare the logits of the same texts, each float32, texts × classes in one order."""
    same = int((ours.argmax(axis=1) == original.argmax(axis=1)).sum())
    return Agreement(len(ours), same, len(set(original.argmax(axis=1))), float(np.abs(ours - original).max()))


def check_agreement(found: Agreement, quantization: Quantization) -> None:
    """Check that the converted model may take the place of the original.

    Raises:
        UserError: it gives too many texts another label, or the texts do not tell.
    """
    least = LEAST_AGREEMENT[quantization]
    if found.labels < 2:
        raise UserError(
            f"all {found.texts:,} texts get one label from the original, so nothing is compared; name texts of yours "
            "with --test, or add the model as it is with --force"
        )
    if found.share < least:
        raise UserError(
            f"the converted model gives {found.same:,} of {found.texts:,} texts ({found.share:.1%}) the label of the "
            f"original, {least:.0%} are needed; try --quantization float32, or add it as it is with --force"
        )


def original_logits(folder: Path, texts: Sequence[str], max_tokens: int) -> tuple[Floats, str]:
    """Return the logits of the original, float32, texts × outputs in its own order, and what computed them.

    Raises:
        UserError: torch or transformers is not installed, or cannot read the model.
    """
    try:
        import torch  # noqa: PLC0415 - an extra, which only this function needs
        import transformers  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise UserError(
            f"comparing with the original needs the Python package {error.name}: pip install --find-links dist "
            "'sprat-inference[hub]' (dist: from make wheels; in a checkout: -e 'shared/inference[hub]'); "
            "--no-compare adds the model without, and its card says so"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        ).eval()
        rows = []
        with torch.inference_mode():
            for text in texts:
                ids = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")["input_ids"]
                rows.append(model(ids).logits[0].float().numpy())
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{folder}: transformers cannot read the model ({type(error).__name__}: {error})") from None
    return np.stack(rows), f"transformers {transformers.__version__} in float32"
