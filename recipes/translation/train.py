"""Train the English-German translator in a given time on one CPU thread, and write it as a CTranslate2 folder.

    python -m recipes.translation.train --data DIR --work W --minutes 200        (or SPRAT_DATA=DIR)
    python -m recipes.translation.train --data DIR --work W --multi30k --words 5000 --minutes 250

A checkpoint is written every ten minutes; a run with the same `--work` continues from it. The learning rate falls with
the share of the time used, so a run converges in any given time.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sentencepiece
import torch
from torch.nn import functional

from recipes.common import options_of
from recipes.translation.convert import agreement, convert
from recipes.translation.corpora import Corpus, captions, open_corpus
from recipes.translation.measure import scores, translate
from recipes.translation.network import PAD, Loss, Shape, Translator
from recipes.translation.optimiser import MastersState, Rates, follow, fresh, step
from recipes.translation.pieces import PairBatch, batches, encode, steps, train_vocabulary
from recipes.translation.variants import vary

CHECKPOINT_S, REPORT_S = 600, 30
_WARM_UP, _AVERAGE_EVERY = 0.02, 5


@dataclass(frozen=True)
class TrainingPlan:
    """The configuration of a run, apart from its data."""

    shape: Shape
    rates: Rates
    minutes: float
    words: int
    dropout: float
    sampled: float
    smoothing: float = 0.1
    varied: bool = True
    longest: int = 80
    seed: int = 1


@dataclass
class ProgressState:
    """Progress of a run; `seconds` counts all time, evaluations included."""

    seconds: float = 0.0
    steps: int = 0
    words: int = 0
    epoch: int = 0


class TranslatorRun:
    """One training run in its work folder: vocabulary, checkpoint, curve, converted model."""

    def __init__(self, corpus: Corpus, plan: TrainingPlan, work: Path) -> None:
        torch.manual_seed(plan.seed)
        self.corpus, self.plan, self.work = corpus, plan, work
        work.mkdir(parents=True, exist_ok=True)
        self.vocabulary = work / "joint.model"
        if not self.vocabulary.exists():
            texts = (text for pair in dict.fromkeys(corpus.train) for text in pair)
            train_vocabulary(texts, plan.shape.vocabulary, self.vocabulary, marks=plan.varied)
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.vocabulary))
        self.network = Translator(plan.shape, plan.dropout, torch.bfloat16)
        self.masters: MastersState = fresh(self.network)
        self.progress = ProgressState()
        (work / "shape.json").write_text(json.dumps(asdict(plan.shape)))
        if (work / "checkpoint.pt").exists():
            self._resume()
        self.kept = time.monotonic()
        self.began = self.kept - self.progress.seconds

    def go(self) -> None:
        """Train until the time is up; report, write checkpoints and convert in between."""
        while self._share() < 1:
            cost, said, began = self._epoch()
            if self._share() < 1:
                self.progress.epoch += 1
                at = f"epoch {self.progress.epoch} ended at step {self.progress.steps}"
                say(f"{at}: loss {cost / said:.3f}, {time.monotonic() - began:.0f} s")
        self._keep()

    def _epoch(self) -> tuple[float, float, float]:
        """Run one epoch, or less if the time is up; return the sum of the loss, the pieces, and the start time."""
        began = reported = time.monotonic()
        cost = said = 0.0
        then = (0.0, 0.0)
        for group in steps(self._batches(), self.plan.words):
            cost, said = cost + self._step(group), said + sum(b.words for b in group)
            now = time.monotonic()
            if now - reported > REPORT_S:
                self._report((cost - then[0]) / (said - then[1]), (said - then[1]) / (now - reported))
                reported, then = now, (cost, said)
            if now - self.kept > CHECKPOINT_S:
                self._keep()
                self.kept = reported = time.monotonic()
                then = (cost, said)
            if self._share() >= 1:
                break
        return cost, said, began

    def _share(self) -> float:
        self.progress.seconds = time.monotonic() - self.began
        return self.progress.seconds / (60 * self.plan.minutes)

    def _batches(self) -> list[PairBatch]:
        """Return the batches of an epoch: every pair once, with new variants and new pieces."""
        dice = random.Random(f"{self.plan.seed} {self.progress.epoch} {self.progress.steps}")  # noqa: S311  # not a secret
        pairs = list(self.corpus.train)
        if self.plan.varied:
            pairs = [vary(pair, dice.choice(pairs), dice) for pair in pairs]
        ids = encode(self.pieces, pairs, self.plan.sampled, dice)
        return batches(ids, max(256, self.plan.words // 3), self.plan.longest, dice)

    def _step(self, group: list[PairBatch]) -> float:
        self.network.train()
        scale = 1 / self.plan.words
        total = 0.0
        for batch in group:
            states = self.network(torch.from_numpy(batch.source), torch.from_numpy(batch.read))
            says = torch.from_numpy(batch.say).reshape(-1)
            flat = states.reshape(len(says), -1)
            loss = Loss.apply(flat, self.network.table, says, self.plan.smoothing, scale)
            loss.backward()
            total += loss.item()
        share = self._share()
        step(self.network, self.masters, self.plan.rates, min(1.0, share / _WARM_UP) * max(0.01, 1 - share))
        self.progress.steps += 1
        self.progress.words += sum(b.words for b in group)
        if self.progress.steps % _AVERAGE_EVERY == 0:
            follow(self.masters, min(0.02, 1 / (1 + self.progress.steps / _AVERAGE_EVERY / 4)))
        return total / scale

    def _report(self, loss: float, rate: float) -> None:
        left = max(0.0, self.plan.minutes - self.progress.seconds / 60)
        say(
            f"epoch {self.progress.epoch + 1} step {self.progress.steps} loss {loss:.3f} {rate:,.0f} pieces/s "
            f"{self.progress.words / 1e6:.2f} M seen, {left:.0f} min left"
        )

    def _keep(self) -> None:
        """Write the checkpoint, convert its average, and add a point to the learning curve."""
        progress = asdict(self.progress)
        state = {"progress": progress, **asdict(self.masters)}
        torch.save(state, self.work / "checkpoint.new")
        (self.work / "checkpoint.new").replace(self.work / "checkpoint.pt")
        new = self.work / "ct2.new"
        convert(self.masters.average, self.plan.shape, self.vocabulary, new)
        point: dict[str, float] = {"minutes": round(self.progress.seconds / 60, 1), "words": self.progress.words}
        for name, pairs in self.corpus.dev.items():
            part = pairs[:: max(1, len(pairs) // 300)][:300]
            ids = encode(self.pieces, part, 0.0, random.Random(0))  # noqa: S311  # nothing is drawn
            made = batches(ids, 1024, self.plan.shape.length, random.Random(0))  # noqa: S311  # not a secret
            point[f"{name}_loss"] = round(dev_loss(self.masters.average, self.plan.shape, made), 4)
            said = translate(new, [source for source, _ in part], beam=1).texts
            point[f"{name}_bleu"] = scores(said, part, tokenised=not self.plan.varied)[0]["BLEU"]
        curve = self.work / "curve.json"
        points = json.loads(curve.read_text()) if curve.exists() else []
        curve.write_text(json.dumps([*points, point], indent=1) + "\n")
        say("kept; dev " + ", ".join(f"{name} {value}" for name, value in point.items()))
        old = self.work / "ct2"
        if old.exists():
            old.rename(self.work / f"ct2.old{time.time_ns()}")
        new.rename(old)
        for stale in sorted(self.work.glob("ct2.old*"))[:-1]:
            for file in stale.iterdir():
                file.unlink()
            stale.rmdir()

    def _resume(self) -> None:
        saved = torch.load(self.work / "checkpoint.pt", weights_only=True)
        self.progress = ProgressState(**saved.pop("progress"))
        self.masters = MastersState(**saved)
        self.network.load_state_dict(self.masters.weights)
        say(f"goes on at {self.progress.seconds / 60:.0f} minutes")


def say(text: str) -> None:
    """Print a line of progress with the time of day."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def dev_loss(weights: dict[str, torch.Tensor], shape: Shape, dev_batches: Sequence[PairBatch]) -> float:
    """Return the loss on development pairs in nats per target piece, without smoothing and dropout."""
    network = Translator(shape, dropout=0.0)
    network.load_state_dict(weights)
    network.eval()
    total, words = 0.0, 0
    with torch.no_grad():
        for batch in dev_batches:
            states = network(torch.from_numpy(batch.source), torch.from_numpy(batch.read))
            logits = states.reshape(-1, shape.width) @ network.table.T
            says = torch.from_numpy(batch.say).reshape(-1)
            total += float(functional.cross_entropy(logits, says, ignore_index=PAD, reduction="sum"))
            words += batch.words
    return total / words


def main() -> None:
    """Parse the command line, train, and check the conversion."""
    parser = options_of(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where vocabulary, checkpoints and results are kept")
    parser.add_argument("--minutes", type=float, default=85)
    parser.add_argument("--multi30k", action="store_true", help="reproduce a published figure instead")
    parser.add_argument("--layers", type=int, nargs=2, default=(4, 2), help="encoder, decoder (default: %(default)s)")
    parser.add_argument("--words", type=int, default=2500, help="target pieces in a step (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.02, help="of the matrices, at the peak (default: %(default)s)")
    parser.add_argument("--rest", type=float, default=2e-3, help="of all other weights (default: %(default)s)")
    parser.add_argument("--adam", action="store_true", help="Adam for the matrices, too, at the rate of the rest")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rates = Rates(options.rate, options.rest, not options.adam)
    if options.multi30k:
        corpus, shape, dropout, sampled = captions(options.data), Shape(8000, 128, 256, 4, 4, 4), 0.3, 0.0
    else:
        corpus = open_corpus(options.data)
        shape, dropout, sampled = Shape(8000, 256, 1024, 4, *options.layers), 0.05, 0.3
    plan = TrainingPlan(shape, rates, options.minutes, options.words, dropout, sampled, varied=not options.multi30k)
    say(f"{len(corpus.train):,} pairs, {corpus.dropped:,} left out")
    run = TranslatorRun(corpus, plan, options.work)
    say(f"{sum(p.numel() for p in run.network.parameters()):,} parameters")
    run.go()
    exact = options.work / "ct2-float32"
    convert(run.masters.average, shape, run.vocabulary, exact, None)
    texts = [source for pairs in corpus.dev.values() for source, _ in pairs[:50]][:50]
    say(f"torch and CTranslate2 agree on {agreement(run.masters.average, shape, exact, texts)} of {len(texts)}")


if __name__ == "__main__":
    main()
