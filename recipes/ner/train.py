"""Train the network: the lower layers of multilingual-e5-small, fine-tuned to label names. An hour on one core.

    python -m recipes.ner.train --data DIR --weights e5.safetensors --tokenizer tokenizer.json --work DIR

Needs torch. A checkpoint every ten minutes; started again, it goes on from there. Seeded.
"""

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from recipes.common import options_of
from recipes.ner.batches import LabelledBatch, batches
from recipes.ner.examples import Text, TrainingExample, encode, varied, written
from recipes.ner.gold import named
from recipes.ner.network import Network, loss
from recipes.ner.sets import DEVELOPMENT, TRAINING, WITH_MISC, SetPart, read_set
from recipes.ner.silver import silver
from sprat_ner.decoding import HEAD_LABELS, TYPES

SEED = 20261125
LAYERS = 4
EPOCHS = 3
SILVER_FROM = 1
"""Before this epoch the network labels the translated sentences that it is then trained on."""
PEAK, HEAD_PEAK = 2e-4, 1e-3
WARM_UP = 0.06
LAYER_DECAY = 0.9
"""Factor of the learning rate from one layer to the layer below."""
PLAIN_SHARE = 0.5
"""Share of the UNER sentences without a name that an epoch uses."""
CHECKPOINT_S = 600


@dataclass(slots=True)
class Progress:
    """Progress of the run; saved with each checkpoint."""

    epoch: int = 0
    batch: int = 0


def main() -> None:
    """Parse the command line and train."""
    parser = options_of(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="multilingual-e5-small in float32")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints and the outcome lie")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--silver-from", type=int, default=SILVER_FROM, help="epochs before it is used")
    parser.add_argument("--start", type=Path, help="a checkpoint with more layers, to begin with its lower ones")
    parser.add_argument("--without", choices=TRAINING, help="a set that is not read: see left_out.py")
    parser.add_argument("--stop", type=float, help="end after so many epochs, with a checkpoint and no outcome")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    options.work.mkdir(parents=True, exist_ok=True)
    TrainingRun(options).train()


class TrainingRun:
    """One training run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tokenizer = Tokenizer.from_file(str(options.tokenizer))
        self.tokenizer.encode_special_tokens = True
        self.network = Network(load_file(options.weights), options.layers, SEED)
        self.optimiser = torch.optim.AdamW(_groups(self.network), betas=(0.9, 0.98), eps=1e-6)
        self.progress = Progress()
        if options.start:
            self.network.load_lower(torch.load(options.start, weights_only=True)["network"])
        self.started = self.saved = time.monotonic()
        self.checkpoint = options.work / "checkpoint.pt"
        if self.checkpoint.exists():
            kept = torch.load(self.checkpoint, weights_only=True)
            self.network.load_state_dict(kept["network"])
            self.optimiser.load_state_dict(kept["optimiser"])
            self.progress = Progress(**kept["progress"])

    def train(self) -> None:
        """Run the remaining epochs."""
        self.first = self.done()
        while self.progress.epoch < self.options.epochs:
            if not self._epoch():
                self.save()
                return
            self.progress = Progress(self.progress.epoch + 1)
            self.save()
            figures = ", ".join(f"{name} {f1:.1f}" for name, f1 in self.word_f1(DEVELOPMENT).items())
            say(f"epoch {self.progress.epoch} of {self.options.epochs}: development F1 {figures}")
        save_file(
            {name: each.contiguous() for name, each in self.network.state_dict().items()},
            self.options.work / "ner.safetensors",
        )

    def done(self, within: float = 0.0) -> float:
        """Return the share of the run that is done."""
        return (self.progress.epoch + within) / self.options.epochs

    def _epoch(self) -> bool:
        """Train on every text once; return False if the run must stop before the end."""
        chance = random.Random(SEED + self.progress.epoch)  # noqa: S311 - repeatable, no secret
        examples = encode(self._texts(chance), self.tokenizer)
        planned = list(batches(examples, chance))
        self.network.train()
        total, counted = 0.0, 0
        for place in range(self.progress.batch, len(planned)):
            done = self.done(place / len(planned))
            if self.options.stop is not None and done * self.options.epochs >= self.options.stop:
                return False
            total += self._step(planned[place], done)
            counted += 1
            self.progress.batch = place + 1
            if counted % 50 == 0:
                at = f"epoch {self.progress.epoch + 1}, {place + 1} of {len(planned)}"
                say(f"{at}: loss {total / counted:.4f}, {self._left(done)}")
                total, counted = 0.0, 0
            if time.monotonic() - self.saved > CHECKPOINT_S:
                self.save()
        return True

    def _step(self, batch: LabelledBatch, done: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(batch.ids, batch.present)
        value = loss(logits, batch.labels, batch.with_misc)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        return value.item()

    def _left(self, done: float) -> str:
        gone = time.monotonic() - self.started
        left = gone * (1 - done) / max(done - self.first, 1e-6)
        return f"{left / 60:.0f} min left"

    def _texts(self, chance: random.Random) -> list[Text]:
        texts = []
        for name, parts in TRAINING.items():
            if name == self.options.without:
                continue
            for sentence in read_set(self.options.data, parts):
                if name == "uner_ewt" and set(sentence.labels) == {"O"} and chance.random() > PLAIN_SHARE:
                    continue
                text = written(sentence, natural=chance.random() < 0.5, with_misc=name in WITH_MISC)
                texts.append(varied(text, chance))
        if self.progress.epoch >= self.options.silver_from:
            texts += silver(self, chance)
        return texts

    def labelled(self, examples: Sequence[TrainingExample]) -> list[np.ndarray]:
        """Return the probability of each label for each token of each example."""
        self.network.eval()
        outcome: list[np.ndarray] = [np.zeros((0, 0))] * len(examples)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for batch in batches(examples, None):
                chances = torch.softmax(self.network(batch.ids, batch.present), dim=-1).numpy()
                for row, place in enumerate(batch.places):
                    outcome[place] = chances[row, : len(examples[place].ids)]
        return outcome

    def word_f1(self, sets: Mapping[str, Sequence[SetPart]]) -> dict[str, float]:
        """Return the entity micro-F1 of each set by words, per cent: fast, and close to the score of the service."""
        figures = {}
        for name, parts in sets.items():
            texts = [written(one, natural=False, with_misc=False) for one in read_set(self.options.data, tuple(parts))]
            examples = encode(texts, self.tokenizer)
            right = found = gold = 0
            for example, chances in zip(examples, self.labelled(examples), strict=True):
                at = example.labels >= 0
                wanted, given = (_names(rows) for rows in (example.labels[at], chances[at].argmax(axis=-1)))
                right, found, gold = right + len(wanted & given), found + len(given), gold + len(wanted)
            figures[name] = 200 * right / max(found + gold, 1)
        return figures

    def save(self) -> None:
        """Write the checkpoint."""
        kept = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": {"epoch": self.progress.epoch, "batch": self.progress.batch},
        }
        torch.save(kept, self.checkpoint.with_suffix(".new"))
        self.checkpoint.with_suffix(".new").replace(self.checkpoint)
        self.saved = time.monotonic()


def _names(labels: np.ndarray) -> set[tuple[int, int, str]]:
    return {each for each in named(tuple(HEAD_LABELS[label] for label in labels)) if each[2] in TYPES}


def _groups(network: Network) -> list[dict]:
    """Return one parameter group per layer, slower for lower layers; norms and biases without decay."""
    groups = []
    depth = len(network.encoder.layer)
    for name, each in network.named_parameters():
        level = int(name.split(".")[2]) if name.startswith("encoder.") else (-1 if name.startswith("emb") else depth)
        peak = HEAD_PEAK if level == depth else PEAK * LAYER_DECAY ** (depth - 1 - level)
        groups.append({"params": [each], "peak": peak, "lr": 0.0, "weight_decay": 0.01 if each.dim() > 1 else 0.0})
    return groups


def say(what: str) -> None:
    """Print the progress with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)


if __name__ == "__main__":
    main()
