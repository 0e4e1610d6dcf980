"""A classifier of texts in a plain aiokafka loop, as a team writes it in a day. Knows nothing of Sprat.

    PYTHON plain_loop.py --bootstrap HOST:PORT --model DIR --runtime torch|torch-int8|onnx|onnx-int8|ctranslate2|…

Runs in an environment of its own (`environments.py`). Reads `{"id", "text"}` from one topic and writes
`{"id", "label", "probability"}` to another. The consumer has aiokafka's defaults: offsets are committed every five
seconds, of what was fetched. With `--commit manual` they are committed after the answers are acknowledged, as
aiokafka's documentation shows for at-least-once delivery. The model runs in the loop itself, on one thread.

DIR holds the encoder in the form of its runtime, `tokenizer.json`, and the head: `head.npz` and `labels.json`.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

MAX_TOKENS = 128
POLL_MS = 1000

RUNTIMES = ("torch", "torch-int8", "onnx", "onnx-int8", "ctranslate2", "ctranslate2-float32")

Encode = Callable[[Sequence[str]], Any]
"""Texts to one vector each: float32, texts × width, the mean over the tokens."""


def torch_encoder(folder: Path, *, int8: bool) -> Encode:
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    if int8:
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)

    def encode(texts: Sequence[str]) -> Any:
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        return ((states * mask).sum(1) / mask.sum(1)).numpy()

    return encode


def onnx_encoder(folder: Path, name: str) -> Encode:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / name, options, ["CPUExecutionProvider"])
    tokenizer = padded_tokenizer(folder)

    def encode(texts: Sequence[str]) -> Any:
        encoded = tokenizer.encode_batch(list(texts))
        ids, mask = (np.array([getattr(each, name) for each in encoded]) for name in ("ids", "attention_mask"))
        (states,) = session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)

    return encode


def ctranslate2_encoder(folder: Path, name: str) -> Encode:
    import ctranslate2

    model = ctranslate2.Encoder(str(folder / name), device="cpu", inter_threads=1, intra_threads=1)
    tokenizer = padded_tokenizer(folder)
    tokenizer.no_padding()

    def encode(texts: Sequence[str]) -> Any:
        ids = [each.ids for each in tokenizer.encode_batch(list(texts))]
        states = np.asarray(model.forward_batch(ids).last_hidden_state)
        lengths = np.array([len(each) for each in ids])
        mask = np.arange(states.shape[1]) < lengths[:, None]
        return (states * mask[..., None]).sum(1) / lengths[:, None]

    return encode


def padded_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


class Classifier:
    """An encoder with Sprat's linear head."""

    def __init__(self, folder: Path, runtime: str) -> None:
        encoders: dict[str, Callable[[], Encode]] = {
            "torch": lambda: torch_encoder(folder, int8=False),
            "torch-int8": lambda: torch_encoder(folder, int8=True),
            "onnx": lambda: onnx_encoder(folder, "model.onnx"),
            "onnx-int8": lambda: onnx_encoder(folder, "model-int8.onnx"),
            "ctranslate2": lambda: ctranslate2_encoder(folder, "ctranslate2"),
            "ctranslate2-float32": lambda: ctranslate2_encoder(folder, "ctranslate2-float32"),
        }
        self._encode = encoders[runtime]()
        with np.load(folder / "head.npz") as head:
            self._mean, self._weights, self._bias = (head[name] for name in ("mean", "weights", "bias"))
        self._labels = json.loads((folder / "labels.json").read_text())

    def answer(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the likeliest label of each text and its probability."""
        logits = unit(unit(self._encode(texts)) - self._mean) @ self._weights + self._bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = powers / powers.sum(axis=1, keepdims=True)
        return [(self._labels[row.argmax()], float(row.max())) for row in chances]


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def one_by_one(consumer: Any, producer: Any, answers: str, classifier: Classifier, *, commit: bool) -> None:
    async for record in consumer:
        text = json.loads(record.value)
        label, probability = classifier.answer([text["text"]])[0]
        await producer.send_and_wait(answers, answer(text, label, probability), key=record.key)
        if commit:
            await consumer.commit()


async def in_batches(
    consumer: Any, producer: Any, answers: str, classifier: Classifier, batch: int, *, commit: bool
) -> None:
    while True:
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=batch)
        records: list[ConsumerRecord] = [record for part in found.values() for record in part]
        if not records:
            continue
        texts = [json.loads(record.value) for record in records]
        labels = classifier.answer([text["text"] for text in texts])
        sent = [
            await producer.send(answers, answer(text, *label), key=record.key)
            for text, label, record in zip(texts, labels, records, strict=True)
        ]
        await asyncio.gather(*sent)
        if commit:
            await consumer.commit()


def answer(text: dict[str, Any], label: str, probability: float) -> bytes:
    return json.dumps({"id": text["id"], "label": label, "probability": probability}).encode()


async def run(options: argparse.Namespace) -> None:
    classifier = Classifier(options.model, options.runtime)
    manual = options.commit == "manual"
    consumer = AIOKafkaConsumer(
        options.texts,
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        auto_offset_reset="earliest",
        enable_auto_commit=not manual,
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=options.bootstrap)
    await consumer.start()
    await producer.start()
    if options.batch == 1:
        await one_by_one(consumer, producer, options.answers, classifier, commit=manual)
    else:
        await in_batches(consumer, producer, options.answers, classifier, options.batch, commit=manual)


def bare(options: argparse.Namespace) -> None:
    """Answer the lines of the standard input without Kafka; write labels, CPU seconds per round, and peak memory."""
    classifier = Classifier(options.model, options.runtime)
    texts = [json.loads(line) for line in sys.stdin]
    batches = [texts[first : first + options.batch] for first in range(0, len(texts), options.batch)]
    labels = [label for batch in batches for label, _ in classifier.answer(batch)]
    spent = []
    for _ in range(options.bare):
        began = time.process_time()
        for batch in batches:
            classifier.answer(batch)
        spent.append(time.process_time() - began)
    # Not getrusage(): its maximum includes that of the process which started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"labels": labels, "cpu_s": spent, "memory_mb": memory_mb}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--runtime", choices=RUNTIMES, required=True)
    parser.add_argument("--batch", type=int, default=1, help="texts per call of the model, at most")
    parser.add_argument("--bare", type=int, metavar="ROUNDS", help="no Kafka: answer the texts of the standard input")
    parser.add_argument("--bootstrap")
    parser.add_argument("--texts", help="topic to read")
    parser.add_argument("--answers", help="topic to write")
    parser.add_argument("--group")
    parser.add_argument("--commit", choices=("auto", "manual"), default="auto")
    options = parser.parse_args()
    if options.bare is not None:
        bare(options)
    else:
        asyncio.run(run(options))


if __name__ == "__main__":
    main()
