"""Masking for the handler: off the event loop, one text at a time, and without the text in any error."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

from sprat.errors import UserError
from sprat_inference.artefact import BrokenArtefact
from sprat_policy import PrivacyPolicy
from sprat_privacy import REVISION, Detector, MaskedText, MaskingFailed, NameDetector, NotVerified, mask
from sprat_privacy.detectors.tagger import Tagger
from sprat_privacy.detectors.terms import Terms
from sprat_privacy.detectors.validators.suite import Validators
from sprat_privacy.labels import labels_to_keep


class Redactor:
    """Masks what the tagger, the validators, and the policy's own terms and patterns detect.

    One thread is enough: masking a text takes milliseconds, its call seconds; more threads would compete with the other
    services for the cores. The masked values stay in this process.
    """

    def __init__(self, detectors: Sequence[Detector], policy: PrivacyPolicy, tagger_version: str) -> None:
        self._detectors = (*detectors, Terms.of(policy))
        self._labels_to_keep = lru_cache(maxsize=256)(partial(labels_to_keep, policy=policy))
        self._validators_alone = policy.validators_alone
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frontier-masking")
        versioned = json.dumps([REVISION, tagger_version, policy.model_dump(mode="json")], sort_keys=True)
        self.version = hashlib.sha256(versioned.encode()).hexdigest()[:16]
        """Covers all that decides what is masked: the code's revision, the tagger's version, the policy's section."""

    @classmethod
    def load(cls, folder: Path, policy: PrivacyPolicy) -> Self:
        """Load the tagger in `folder`.

        Raises:
            UserError: the tagger cannot be used.
        """
        try:
            tagger = Tagger.load(folder, threads=1)
        except BrokenArtefact as error:
            raise UserError(f"SPRAT_FRONTIER__TAGGER: {error}") from None
        detectors = (NameDetector(tagger, frozenset(tagger.card.languages)), Validators())
        return cls(detectors, policy, tagger.card.version)

    async def mask(self, text: str, language: str) -> MaskedText:
        """Return the masked text, which may leave, and what restores it.

        Raises:
            NotVerified: the text must not leave.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._mask, text, language)

    def labels_to_keep(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        """Return which labels must not leave, counted from 1."""
        return self._labels_to_keep(labels)

    def close(self) -> None:
        """Stop the thread; texts that wait for it are not masked."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _mask(self, text: str, language: str) -> MaskedText:
        try:
            return mask(text, language, self._detectors, validators_alone=self._validators_alone)
        except MaskingFailed:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to masking: after a defect in it, the text must not leave
            failure = type(error).__name__
        # Raised outside the handler, without the defect's error as its context: that message may contain the text.
        raise NotVerified(f"masking failed: {failure}")
