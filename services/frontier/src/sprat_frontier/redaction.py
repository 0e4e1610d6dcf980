"""Masking for the handler: off the event loop, several texts at a time, the senders in turn, no text in any error."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

from sprat.base.errors import UserError
from sprat_frontier.fair_queue import FairQueue, Sender
from sprat_inference.artefact import BrokenArtefact
from sprat_policy import PrivacyPolicy, TaskFiles
from sprat_privacy import (
    REVISION,
    Detector,
    MaskedText,
    MaskingFailed,
    NameDetector,
    NotVerified,
    mask,
    read_names,
)
from sprat_privacy.detectors.fixed import fixed_detectors
from sprat_privacy.detectors.labels import labels_to_keep
from sprat_privacy.detectors.tagger import Tagger

BATCH_CODE_POINTS = 4_000
"""Masked in one turn of a thread, or one text: others wait no longer for a thread, and more texts gain little."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    text: str
    language: str
    masked: asyncio.Future[MaskedText]


class Redactor:
    """Masks what its detectors find: as the service loads it, the tagger and all of `fixed_detectors`.

    A thread reads the names of as many waiting texts at once as fit a turn: that takes half the time. The turns go to
    the policy's sections by what they have had, in code points. The masked values stay in this process.
    """

    def __init__(
        self, detectors: Sequence[Detector], policy: PrivacyPolicy, tagger_version: str, threads: int = 1
    ) -> None:
        self._detectors = tuple(detectors)
        self._labels_to_keep = lru_cache(maxsize=256)(partial(labels_to_keep, policy=policy))
        self._validators_alone = policy.validators_alone
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._free = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="frontier-masking")
        versioned = json.dumps([REVISION, tagger_version, policy.model_dump(mode="json")], sort_keys=True)
        self.version = hashlib.sha256(versioned.encode()).hexdigest()[:16]
        """Covers all that decides what is masked: the code's revision, the tagger's version, the policy's section."""

    @classmethod
    def load(cls, folder: Path, policy: PrivacyPolicy, threads: int = 1) -> Self:
        """Load the tagger in `folder`; `threads` texts are masked at once, each on one core.

        Raises:
            UserError: the tagger cannot be used.
        """
        try:
            tagger = Tagger.load(folder, callers=threads)
        except BrokenArtefact as error:
            raise UserError(f"SPRAT_FRONTIER__TAGGER: {error}") from None
        detectors = (NameDetector(tagger, frozenset(tagger.card.languages)), *fixed_detectors(policy))
        return cls(detectors, policy, tagger.card.version, threads)

    async def mask(self, sender: Sender, text: str, language: str) -> MaskedText:
        """Return the masked text, which may leave, and what restores it; the senders' texts are masked in turn.

        Raises:
            NotVerified: the text must not leave.
        """
        waiting = _Waiting(text, language, asyncio.get_running_loop().create_future())
        self._queue.push(sender, waiting, len(text))
        self._start()
        try:
            return await waiting.masked
        finally:
            self._queue.discard(sender, waiting)

    def labels_to_keep(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        """Return which labels must not leave, counted from 1."""
        return self._labels_to_keep(labels)

    def close(self) -> None:
        """Stop the threads; texts that wait for them are not masked."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Start the free threads on what waits."""
        while self._free and self._queue:
            batch = [self._queue.pop()]
            size = len(batch[0].text)
            while self._queue and size < BATCH_CODE_POINTS:
                batch.append(self._queue.pop())
                size += len(batch[-1].text)
            self._free -= 1
            texts = [(each.text, each.language) for each in batch]
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._mask_all, texts)
            running.add_done_callback(partial(self._done, batch))

    def _done(self, batch: Sequence[_Waiting], running: asyncio.Future[list[MaskedText | MaskingFailed]]) -> None:
        self._free += 1
        if running.cancelled():  # the service is stopping
            for waiting in batch:
                waiting.masked.cancel()
            return
        defect = running.exception()
        for waiting, result in zip(batch, [defect] * len(batch) if defect else running.result(), strict=True):
            if waiting.masked.done():  # nobody waits for it any longer
                continue
            if isinstance(result, BaseException):
                waiting.masked.set_exception(result)
            else:
                waiting.masked.set_result(result)
        self._start()

    def _mask_all(self, texts: Sequence[tuple[str, str]]) -> list[MaskedText | MaskingFailed]:
        """Return each masked text, or why it must not leave. Each depends on that text alone."""
        detectors = read_names(texts, self._detectors)
        return [self._mask(*text, using) for text, using in zip(texts, detectors, strict=True)]

    def _mask(self, text: str, language: str, detectors: Sequence[Detector]) -> MaskedText | MaskingFailed:
        try:
            return mask(text, language, detectors, validators_alone=self._validators_alone)
        except MaskingFailed as error:
            return error
        except BaseException as error:  # noqa: BLE001 - the boundary to masking: after a defect in it, nothing may leave
            # Without the defect's error as its context: that message may contain the text.
            return NotVerified(f"masking failed: {type(error).__name__}")


def check_task_files(files: TaskFiles, perimeter: PrivacyPolicy) -> None:
    """Check that what the files tell a large model may leave: it is not masked.

    Raises:
        UserError: an instruction, a label or its meaning holds a term of the policy or a personal value.
    """
    for name, file in files.items():
        told = [
            ("instruction", file.instruction),
            *((f"the name of label {number}", label) for number, label in enumerate(file.labels, 1)),
            *((f"labels.{label}", meaning) for label, meaning in file.labels.items()),
        ]
        if kept := labels_to_keep([text for _, text in told], perimeter):
            place, _ = told[kept[0] - 1]
            raise UserError(
                f"{files.folder}/{name}.yaml: {place} holds a term of the policy or a personal value, and it would "
                "leave with every hard case; take it out"
            )
