"""Measure a converted model on the test sets; run it once, after everything was chosen on the development sets.

    python -m recipes.translation.measure --data DIR [--model FOLDER] [--dev] [--multi30k]

Prints BLEU and chrF by sacreBLEU with their signatures, the same for the surer half of each set by mean
log-probability, and sentences per CPU second on one thread.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import sacrebleu
import sentencepiece
from sacrebleu.metrics import BLEU, CHRF

from recipes.common import ROOT, options_of
from recipes.translation.corpora import captions, open_corpus
from recipes.translation.variants import Pair

ARTEFACT = ROOT / "services/translation/src/sprat_translation/artefacts/en-de"


@dataclass(frozen=True)
class TranslatedSet:
    """The translations of a set, their mean log-probabilities, and the CPU seconds."""

    texts: tuple[str, ...]
    surety: tuple[float, ...]
    seconds: float


def translate(folder: Path, texts: Sequence[str], beam: int, penalty: float = 1.0) -> TranslatedSet:
    """Translate each text as one segment on one thread."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    translator = ctranslate2.Translator(str(folder), "cpu", inter_threads=1, intra_threads=1)
    began = time.process_time()
    answers = translator.translate_batch(
        [pieces.encode(text, out_type=str) for text in texts],
        beam_size=beam,
        length_penalty=penalty,
        max_batch_size=32,
        max_decoding_length=200,
        return_scores=True,
    )
    said = tuple(pieces.decode(answer.hypotheses[0]) for answer in answers)
    return TranslatedSet(said, tuple(answer.scores[0] for answer in answers), time.process_time() - began)


def scores(said: Sequence[str], pairs: Sequence[Pair], *, tokenised: bool) -> tuple[dict[str, float], list[str]]:
    """Return BLEU and chrF, and their signatures. `tokenised`: the texts are tokens, as in the published figure."""
    references = [[target for _, target in pairs]]
    found, signatures = {}, []
    for name, metric in (("BLEU", BLEU(tokenize="none" if tokenised else "13a", force=tokenised)), ("chrF", CHRF())):
        found[name] = round(float(metric.corpus_score(list(said), references).score), 2)
        signatures.append(f"{name}|{metric.get_signature()}")
    return found, signatures


def measure(folder: Path, sets: dict[str, tuple[Pair, ...]], beam: int, penalty: float, *, tokenised: bool) -> None:
    """Print one line for each set, then the signatures."""
    signatures: list[str] = []
    for name, pairs in sets.items():
        said = translate(folder, [source for source, _ in pairs], beam, penalty)
        found, signatures = scores(said.texts, pairs, tokenised=tokenised)
        order = sorted(range(len(pairs)), key=lambda n: -said.surety[n])[: len(pairs) // 2]
        half, _ = scores([said.texts[n] for n in order], [pairs[n] for n in order], tokenised=tokenised)
        rate = round(len(pairs) / said.seconds)
        print(json.dumps({"set": name, "sentences": len(pairs), **found, "surer_half": half, "per_cpu_s": rate}))
    print("\n".join(signatures), f"| sacrebleu {sacrebleu.__version__}, beam {beam}, length penalty {penalty}")


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    parser.add_argument("--model", type=Path, default=ARTEFACT, help="a converted model (default: the committed one)")
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--penalty", type=float, default=1.0, help="length penalty (default: %(default)s)")
    parser.add_argument("--dev", action="store_true", help="the development sets, to choose by")
    parser.add_argument("--multi30k", action="store_true", help="the captions, lower-cased and tokenised")
    options = parser.parse_args()
    corpus = captions(options.data) if options.multi30k else open_corpus(options.data)
    sets = corpus.dev if options.dev else corpus.tests
    measure(options.model, sets, options.beam, options.penalty, tokenised=options.multi30k)


if __name__ == "__main__":
    main()
