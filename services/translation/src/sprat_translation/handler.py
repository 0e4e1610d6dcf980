"""The translation service's decisions: those of every specialist, and what it does not guess at."""

from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat_contracts import Declined, ReasonCode, TaskOptions, TextSubmitted
from sprat_inference.specialist import SpecialistHandler


class TranslationHandler(SpecialistHandler):
    """Events in, outcomes out. It declines what its model's card says is beyond it, so that nobody reads a guess."""

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Judge language and target, and then the length: a long text is as good as its worst sentence."""
        longest = self.card.calibration.longest_code_points
        if len(text.text) > longest and super().declines(text, options) is None:
            return Declined(code=ReasonCode.TOO_LONG, detail=f"translates up to {longest} characters")
        return super().declines(text, options)

    def answered(self, received: Received[TextSubmitted], ask: Ask, answered: Answered) -> Outcome:
        """Predict what the model says; decline where its own estimate calls it a guess."""
        (least,) = self.card.calibration.parameters.get("decline_below", (0.0,))
        if answered.answer.confidence < least:
            declined = Declined(
                code=ReasonCode.UNSURE, detail=f"its estimate of its own translation is below {least:g}"
            )
            return self._predict(received, declined=declined)
        return super().answered(received, ask, answered)
