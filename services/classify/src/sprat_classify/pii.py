"""The model of a task of personal data: where it stands in a text, the text without it, and how sure that is.

What finds and masks is that of `sprat_privacy`, the policy's own terms and patterns among it. How sure it is that
nothing is left says a calibration over what the tagger thinks of the words that stay.
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, Self

from sprat.base.errors import UserError
from sprat.base.model import Answer, Question
from sprat_contracts import Declined, MaskedOutput, PersonalSpan, ReasonCode, TaskOptions, TextSubmitted
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.specialist import SpecialistHandler
from sprat_policy import PrivacyPolicy, TaskFile
from sprat_privacy import (
    REVISION,
    Detector,
    MaskedText,
    MaskingFailed,
    NameDetector,
    is_too_long,
    mask,
)
from sprat_privacy.detection import ReadNames
from sprat_privacy.detectors.fixed import fixed_detectors
from sprat_privacy.detectors.tagger import SHIPPED_TAGGER, Tagger, TaggerReading
from sprat_privacy.readings import without_touching_signs

READER: Final = "sprat-pii/1"
"""Revision of the way from a masked text to a confidence. Raise it with every change that changes one."""

CARD: Final = Path(__file__).parent / "artefacts" / "pii"
"""The folder of the card: calibration, scores, and the version of the tagger that they hold for."""

PARAMETERS: Final = "nothing_left"
"""The parameter of the card: bias, and the weight of :func:`left_feature`."""

_PROBE = Question("Please call Anna Schmidt.", "en")
_EDGE: Final = 1e-6


class PiiModel:
    """Masks texts. Thread-safe; holds no text between calls."""

    def __init__(
        self, card: Card, tagger: Tagger, others: Sequence[Detector], validators_alone: Collection[str] = ()
    ) -> None:
        self.card = card
        self._tagger = tagger
        self._names = NameDetector(tagger, frozenset(tagger.card.languages))
        self._others = tuple(others)
        self._validators_alone = validators_alone
        self._bias, self._weight = card.calibration.parameters[PARAMETERS]
        self._longest = card.calibration.longest_code_points

    @classmethod
    def load(cls, task: str, file: TaskFile, perimeter: PrivacyPolicy, threads: int = 1, folder: Path = CARD) -> Self:
        """Load card and tagger.

        Args:
            task: for its card.
            file: of the task.
            perimeter: the policy's own terms and patterns, and the languages in which names need not be looked for.
            threads: that compute the tagger.
            folder: of the card.

        Raises:
            BrokenArtefact: card or tagger cannot be used, or do not belong together.
            UserError: the file names a language in which names cannot be found.
        """
        card = load_artefact(folder, reader=READER).card
        tagger = Tagger.load(SHIPPED_TAGGER, threads)
        if card.built_on is None or card.built_on.version != tagger.card.version:
            raise BrokenArtefact(f"{folder}: was calibrated with another tagger; install the releases that fit")
        masked = (*card.languages, *perimeter.validators_alone)
        if missing := [each for each in file.languages if each.partition("-")[0] not in masked]:
            raise UserError(
                f"the task {task}: languages: names are found in {', '.join(card.languages)}, not in {missing[0]}; "
                "leave it out, or name it in the policy under perimeter.validators_alone"
            )
        decides = [card.version, REVISION, perimeter.model_dump(mode="json")]
        version = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
        named = card.model_copy(update={"task": task, "version": version, "languages": file.languages or masked})
        return cls(named, tagger, fixed_detectors(perimeter), perimeter.validators_alone)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs."""
        return self._tagger.windows.upper_bound(question.text, len(question.text))

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        texts = [without_touching_signs(question.text) for question in questions]
        readings = self._tagger.read(texts) if texts else []
        return [self._answer(*each) for each in zip(questions, readings, strict=True)]

    def probe(self) -> None:
        """Mask one text; see :class:`sprat.base.model.Model`."""
        self.answer([_PROBE])

    def _answer(self, question: Question, reading: TaggerReading) -> Answer:
        names = ReadNames(self._names, question.text, reading.detections)
        try:
            masked = mask(
                question.text, question.language, (names, *self._others), validators_alone=self._validators_alone
            )
        except MaskingFailed as error:
            raise ModelError(error.reason) from None
        spans = tuple(
            PersonalSpan(start=span.start, end=span.end, label=span.type, placeholder=span.placeholder)
            for span in masked.spans
        )
        return Answer(MaskedOutput(masked=masked.text, spans=spans), self._nothing_left(masked, reading))

    def _nothing_left(self, masked: MaskedText, reading: TaggerReading) -> float:
        """Return the calibrated chance that nothing personal is left.

        The calibration was fitted on short texts. Of one n times as long, n sections have to be clean.
        """
        logit = self._bias + self._weight * left_feature(masked, reading.words())
        chance = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, logit))))
        return float(chance ** max(len(masked.original) / self._longest, 1.0))


def left_feature(masked: MaskedText, words: Iterable[tuple[int, int, float]]) -> float:
    """Return what the chance that nothing is left is fitted on.

    It is the logarithm of how likely the tagger thinks the likeliest personal one of the words that stay.

    Args:
        masked: the text.
        words: start, end and probability of being personal of each word of the original.
    """
    spans = iter(masked.spans)
    span = next(spans, None)
    likeliest = 0.0
    for start, end, chance in sorted(words):
        while span is not None and span.end <= start:
            span = next(spans, None)
        stays = span is None or end <= span.start
        if stays and any(map(str.isalnum, masked.original[start:end])):  # punctuation is a word to the tagger
            likeliest = max(likeliest, chance)
    return math.log(likeliest + _EDGE)


class PiiHandler(SpecialistHandler):
    """Handles texts that ask for their personal data, and declines those that are too long to be masked."""

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Return why the text cannot be masked, or None; see :class:`SpecialistHandler`."""
        if (declined := super().declines(text, options)) is not None:
            return declined
        if is_too_long(text.text):
            return Declined(code=ReasonCode.MASKING, detail="the text is too long to be masked; send it in parts")
        return None
