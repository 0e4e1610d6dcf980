"""Make an artefact of a language model of others: convert it, and compare its first tokens with the original's."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from sprat_inference.converters.agreement import check_agreement, compare, original_next_logits, sample_texts
from sprat_inference.converters.generator import convert_generator
from sprat_inference.converters.hard_texts import check_hard_texts
from sprat_inference.converters.hub import Source
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.generator import Generator
from sprat_inference.tokenizer import load_tokenizer
from sprat_training.adding import COMPARING, AddConfig, AddedModel, finish, new_folder, provenance_of
from sprat_training.config import OnTrainingProgress

_INSTRUCTIONS: Final = "Answer with one word: what does the writer want?"


def add_generator(
    source: Source, config: AddConfig, texts: Sequence[str] | None, progress: OnTrainingProgress
) -> AddedModel:
    """Write the artefact of a language model into `config.output`, which must be missing or empty.

    Args:
        source: the files of the model.
        config: what the user asked for.
        texts: to compare with the original; None for the shipped ones.
        progress: is called while texts are read.

    Raises:
        UserError: the model cannot be converted, or differs from the original.
    """
    saved = SavedModel.open(source.folder)
    with new_folder(config.output) as folder:
        card = convert_generator(saved, provenance_of(source, config), folder, quantization=config.quantization)
        check_hard_texts(saved.folder, load_tokenizer(folder)[0].encode_batch)
        agreement, scores = None, []
        if config.compare:
            model = Generator.load(folder, card)
            questions = [model.question(_INSTRUCTIONS, text) for text in (sample_texts() if texts is None else texts)]
            progress(COMPARING, 0, len(questions))
            ours = np.stack([model.next_logits(question) for question in questions])
            original, versions = original_next_logits(saved.folder, [model.ids(question) for question in questions])
            progress(COMPARING, len(questions), len(questions))
            agreement = compare(ours, original, unit="answers by their first token")
            if not config.force:
                check_agreement(agreement, config.quantization)
            scores.append(agreement.score(versions))
        return finish(folder, card, scores, config, agreement)
