"""A case as a question to a large model: all that the answer depends on."""

from dataclasses import dataclass

from sprat_contracts import Declined, FrontierRequested, TranslationOptions

NER_LABELS = ("PER", "ORG", "LOC", "MISC")
"""What is looked for where no model has announced its labels."""

TASKS = ("intent", "ner", "translation")


@dataclass(frozen=True, slots=True)
class FrontierQuestion:
    """What is asked, of which text, for whom."""

    task: str
    text: str
    language: str
    tenant: str
    labels: tuple[str, ...]
    """To choose from; empty where there are none."""
    target: str | None
    """Language to translate into."""
    options: str
    """The task's options as they were submitted, JSON."""
    label_set: str

    def problem(self) -> Declined | None:
        """Say why nobody could answer this, if so."""
        if self.task not in TASKS:
            return Declined(code="task", detail="the frontier does not know this task")
        if self.task == "intent" and not self.labels:
            return Declined(code="no_labels", detail="no model has announced the labels to choose from")
        if self.task == "translation" and self.target is None:
            return Declined(code="target", detail="the text names no target language")
        return None


def question_of(request: FrontierRequested) -> FrontierQuestion:
    """Give the question that a request asks."""
    prediction = request.prediction
    submitted = prediction.submitted
    options = submitted.tasks.known.get(prediction.task)
    labels = tuple(dict.fromkeys(request.labels or ()))
    return FrontierQuestion(
        task=prediction.task,
        text=submitted.text,
        language=submitted.language,
        tenant=submitted.tenant,
        labels=NER_LABELS if prediction.task == "ner" and not labels else labels,
        target=options.target if isinstance(options, TranslationOptions) else None,
        options="" if options is None else options.model_dump_json(),
        label_set=request.label_set or "",
    )
