"""The decisions of the translation service: those that all specialists share, and two reasons of its own to decline."""

from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat_contracts import Declined, ReasonCode, TaskOptions, TextSubmitted
from sprat_inference.specialist import SpecialistHandler


class TranslationHandler(SpecialistHandler):
    """Handles texts that ask for a translation. Declines texts that are too long, and answers that are a guess."""

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Check language and target, then the length: the confidence of a long text is that of its worst sentence."""
        longest = self.card.calibration.longest_code_points
        if len(text.text) > longest and super().declines(text, options) is None:
            return Declined(code=ReasonCode.TOO_LONG, detail=f"translates up to {longest} characters")
        return super().declines(text, options)

    def answered(self, received: Received[TextSubmitted], ask: Ask, answered: Answered) -> Outcome:
        """Return the prediction; decline if the quality estimate is below the limit in the card."""
        (least,) = self.card.calibration.parameters.get("decline_below", (0.0,))
        if answered.answer.confidence < least:
            declined = Declined(
                code=ReasonCode.UNSURE, detail=f"its estimate of its own translation is below {least:g}"
            )
            return self._predict(received, declined=declined)
        return super().answered(received, ask, answered)
