"""The decisions of the translation service: those that all specialists share, and a few of its own."""

from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat_contracts import (
    Declined,
    Output,
    ReasonCode,
    TaskOptions,
    TextSubmitted,
    TranslationOptions,
    TranslationOutput,
)
from sprat_contracts.languages import is_variety
from sprat_inference.specialist import SpecialistHandler
from sprat_inference.text_to_text import served_tag
from sprat_langid.tags import registered


class TranslationHandler(SpecialistHandler):
    """Handles texts that ask for a translation.

    It returns those that are in the target's language already, whatever the model serves. It declines texts that are
    too long, and answers that are a guess.
    """

    def known(self, text: TextSubmitted, options: TaskOptions) -> Output | None:
        """Return the text itself where it is in the target's language; not for a target that is no known language.

        A text that does not name its language counts as one in the default language, and may well be in another.
        """
        if not isinstance(options, TranslationOptions) or not text.names_language:
            return None
        if not is_variety(text.language, of=options.target):
            return None
        return None if registered(options.target) is None else TranslationOutput(text=text.text, target=options.target)

    def declines(self, text: TextSubmitted, options: TaskOptions) -> Declined | None:
        """Check language and target, then the length: the confidence of a long text is that of its worst sentence."""
        if (declined := super().declines(text, options)) is not None:
            return declined
        target = options.target if isinstance(options, TranslationOptions) else ""
        language = served_tag(text.language, self.card.languages)
        if language == served_tag(target, self.card.targets):
            detail = f"to the model, {text.language} and {target} are one language, {language}"
            return Declined(code=ReasonCode.TARGET, detail=detail)
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
