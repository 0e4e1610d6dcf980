"""Masking for the handler: off the event loop, one text at a time, and never with a word of it in an error."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from sprat.errors import UserError
from sprat.models import BrokenArtefact
from sprat.perimeter import Finder, Masked, MaskingFailed, NameFinder, NotVerified, mask
from sprat.perimeter.masking import REVISION
from sprat.perimeter.tagger import Tagger
from sprat.perimeter.terms import Terms
from sprat.perimeter.validators import Validators
from sprat.policy import PerimeterPolicy


class Redactor:
    """Masks what the tagger, the validators and the company's own terms find.

    One thread masks: a text takes milliseconds, its call seconds, and more threads would take the cores from the
    services beside this one. What was masked stays in this process.
    """

    def __init__(self, finders: Sequence[Finder], policy: PerimeterPolicy, tagger_version: str) -> None:
        self._finders = (*finders, Terms.of(policy))
        self._validators_alone = policy.validators_alone
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="frontier-masking")
        said = json.dumps([REVISION, tagger_version, policy.model_dump(mode="json")], sort_keys=True)
        self.version = hashlib.sha256(said.encode()).hexdigest()[:16]
        """Of all that decides what is masked: the code's revision, the tagger's version, the policy's section."""

    @classmethod
    def load(cls, folder: Path, policy: PerimeterPolicy) -> Self:
        """Load the tagger that lies in `folder`.

        Raises:
            UserError: it cannot be used.
        """
        try:
            tagger = Tagger.load(folder, threads=1)
        except BrokenArtefact as error:
            raise UserError(f"SPRAT_FRONTIER__TAGGER: {error}") from None
        finders = (NameFinder(tagger, frozenset(tagger.card.languages)), Validators())
        return cls(finders, policy, tagger.card.version)

    async def mask(self, text: str, language: str) -> Masked:
        """Give what may leave of a text, and the way back.

        Raises:
            NotVerified: it must not leave.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._mask, text, language)

    def close(self) -> None:
        """Let the thread end; texts that wait for it are not masked."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _mask(self, text: str, language: str) -> Masked:
        try:
            return mask(text, language, self._finders, validators_alone=self._validators_alone)
        except MaskingFailed:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to masking: a defect in it keeps the text in the house
            failed = type(error).__name__
        # Raised out here, so that the defect's own error is no part of it: its message may hold the text.
        raise NotVerified(f"masking failed: {failed}")
