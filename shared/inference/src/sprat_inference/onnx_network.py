"""A network as ONNX, computed by ONNX Runtime: for architectures that CTranslate2 does not have.

ONNX Runtime is an extra, so that a service whose models CTranslate2 computes does not install it.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.encoder import Vectors, compute_all
from sprat_inference.heads import Floats

NETWORK_FILE: Final = "model.onnx"

IDS: Final = "input_ids"
MASK: Final = "attention_mask"
TYPES: Final = "token_type_ids"
INPUTS: Final = frozenset((IDS, MASK, TYPES))
"""What a network may be given: all int64, texts × tokens. The mask is 1 and the type is 0 for every token."""

LOGITS: Final = "logits"
"""The output that is read: float32, texts × classes, or texts × tokens × labels."""

HOW_TO_INSTALL: Final = (
    "pip install --find-links dist 'sprat-inference[onnx]' (dist: from make wheels; in a checkout: -e "
    "'shared/inference[onnx]')"
)

_ONE_SEQUENCE: Final = 1
"""Tokens of a micro-batch: fewer than those of two sequences. A network in int8 scales its numbers by the largest one
of the whole batch, so that an answer would depend on the texts that happen to be in the same batch."""

_FATAL: Final = 4
"""Of the library's levels of log messages. It writes them to the standard error; an error is raised, too."""


class OnnxNetwork:
    """Computes the logits of sequences of ids. Thread-safe; holds no state between calls."""

    def __init__(self, session: Any, threads: int) -> None:
        self._session = session
        self._inputs = tuple(each.name for each in session.get_inputs())
        self._pool = ThreadPoolExecutor(threads, "onnx") if threads > 1 else None

    @classmethod
    def load(cls, folder: Path, threads: int) -> Self:
        """Load :data:`NETWORK_FILE` of `folder`.

        Args:
            folder: the folder of the artefact.
            threads: sequences of one call computed in parallel, each on one core.

        Raises:
            BrokenArtefact: ONNX Runtime is not installed, or cannot load the file.
        """
        try:
            import onnxruntime  # noqa: PLC0415 - an extra, which most services do not install
        except ModuleNotFoundError:
            raise BrokenArtefact(
                f"{folder}: needs ONNX Runtime, which is not installed here: {HOW_TO_INSTALL}"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL
        path = folder / NETWORK_FILE
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - the errors of the library have no class in common
            raise BrokenArtefact(f"{path}: ONNX Runtime cannot load it ({error}); write the artefact again") from None
        return cls(session, threads)

    def check_outputs(self, outputs: Collection[int], *, dimensions: int) -> None:
        """Compute the logits of one sequence, and compare their shape with what the caller reads.

        Args:
            outputs: how many logits a text or a token may have.
            dimensions: of the logits of a sequence: 1 for classes, 2 for tokens × labels.

        Raises:
            ModelError: the network fails.
            ValueError: the shape is another one.
        """
        (logits,) = self.logits([[0, 0, 0]])
        if logits.ndim != dimensions or logits.shape[-1] not in outputs or (dimensions > 1 and len(logits) != 3):
            raise ValueError(f"{NETWORK_FILE} has logits shaped {logits.shape}, which its card does not fit")

    def logits(self, sequences: Sequence[Sequence[int]]) -> list[Floats]:
        """Return the logits of each sequence of ids, float32: classes, or tokens × labels.

        They depend on their own sequence alone, not on the others of the batch.

        Raises:
            ModelError: ONNX Runtime fails, or a value is not finite.
        """
        return compute_all(sequences, self._forward, self._pool, _ONE_SEQUENCE)

    def _forward(self, batch: list[Sequence[int]]) -> Sequence[Vectors]:
        ids = np.array(batch, dtype=np.int64)
        given = {IDS: ids, MASK: np.ones_like(ids), TYPES: np.zeros_like(ids)}
        try:
            (logits,) = self._session.run([LOGITS], {name: given[name] for name in self._inputs})
        except Exception as error:  # noqa: BLE001 - as above
            # Not its message, which may hold ids of a text.
            raise ModelError(f"ONNX Runtime failed on a text ({type(error).__name__})") from None
        return [*np.asarray(logits, dtype=np.float32)]
