"""The decisions of the translation service: those that all specialists share, and two reasons of its own to decline."""

from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat_contracts import Declined, ReasonCode, TaskOptions, TextSubmitted, TranslationOptions
from sprat_inference.specialist import SpecialistHandler
from sprat_inference.text_to_text import served_tag


class TranslationHandler(SpecialistHandler):
    """Handles texts that ask for a translation. Declines texts that are too long, and answers that are a guess."""

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Check language and target, then the length: the confidence of a long text is that of its worst sentence."""
        if (declined := super().declines(text, options)) is not None:
            return declined
        target = options.target if isinstance(options, TranslationOptions) else ""
        if served_tag(text.language, self.card.languages) == served_tag(target, self.card.targets):
            return Declined(code=ReasonCode.TARGET, detail="the text is in the target's language already")
        longest = self.card.calibration.longest_code_points
        if len(text.text) > longest:
            return Declined(code=ReasonCode.TOO_LONG, detail=f"translates up to {longest} characters")
        return None

    def answered(self, received: Received[TextSubmitted], ask: Ask, answered: Answered) -> Outcome:
        """Return the prediction; decline if the quality estimate is below the limit in the card."""
        (least,) = self.card.calibration.parameters.get("decline_below", (0.0,))
        if answered.answer.confidence < least:
            declined = Declined(
                code=ReasonCode.UNSURE, detail=f"its estimate of its own translation is below {least:g}"
            )
            return self._predict(received, declined=declined)
        return super().answered(received, ask, answered)
