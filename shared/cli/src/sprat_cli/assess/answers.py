"""The answers that `sprat assess` compares: the small model's, and the frontier's (read, requested or assumed)."""

import shlex
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from pydantic import SecretStr

from sprat import plugins
from sprat.errors import UserError
from sprat.model import Question
from sprat.settings import KafkaSettings
from sprat_cli.assess.asked_task import INTENT, TaskOfModel
from sprat_cli.assess.denial import DEFAULT_TENANT, tenants_that_may
from sprat_cli.connection import explain_kafka_errors, kafka_settings, load_command_settings
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import counted, remark
from sprat_contracts import IntentOutput, LabelsOutput, ReasonCode, TierStep
from sprat_contracts.kept import least_kept
from sprat_contracts.languages import primary_subtag
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_inference.lexical import BY_WORDS
from sprat_policy import load_policy
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import LabelledTexts, split_labels
from sprat_training.datasets.rows import look_like_texts
from sprat_training.evaluation.frontier_answers import FrontierAnswers, read_answers, write_answers
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.evaluation.routing import GIVE_COSTS, UNKNOWN_COSTS, TextOutcomes
from sprat_training.evaluation.tier_comparison import TierAnswer, TierResult, compare_tiers, micro_f1_of
from sprat_training.label_set_data import one_label

_TEXTS_PER_BATCH: Final = 500
_MIN_SECRET: Final = 16
_NO_RECORDS: Final = "no broker is given (--bootstrap, and SPRAT_SECRET)"
UNKNOWN_PRICE: Final = "0/0"
"""Euros per million tokens in and out, where the user gives no price."""


NEVER_KEPT: Final = -1.0
"""In place of a confidence: below every `keep_at`."""


@dataclass(frozen=True, slots=True)
class SmallModelAnswers:
    """The small model's answers: one entry per text."""

    name: str
    version: str
    labels: tuple[str, ...]
    """All labels of the model."""
    outputs: tuple[str | None, ...]
    likeliest: tuple[str | None, ...]
    """The likeliest label of each text, also where none is published; of a model with several labels, `outputs`."""
    confidences: tuple[float, ...]
    """`NEVER_KEPT` where there is no label and the card keeps no such answer of this confidence, whatever `keep_at`."""
    by_words: tuple[bool, ...] | None
    """Whether the lexical stage answered; None where the model has none."""
    several: bool = False
    """Whether a text may have several labels; each of `outputs` is then a set of them, as one label."""

    def micro_f1(self, data: LabelledTexts, outside_label: str) -> Interval | None:
        """Return F1 over all decisions of a label for a text; None where each text has one label."""
        if not self.several:
            return None
        return micro_f1_of([each or outside_label for each in self.outputs], data.labels, outside_label)


@dataclass(frozen=True, slots=True)
class AnsweredByWords:
    """What the lexical stage of the small model answered, without the encoder."""

    share: float
    """Of the texts."""
    right: Interval
    """Of these, as published."""

    def __str__(self) -> str:
        if not self.share:
            return "the lexical stage answered none of them: the encoder read every text"
        return f"the lexical stage answered {self.share:.1%} of them without the encoder, {self.right} of these right"


@dataclass(frozen=True, slots=True)
class FrontierResult:
    """The frontier's answers, or what is assumed of them."""

    answers: FrontierAnswers | None
    assumed_accuracy: float
    """Where there are no answers."""
    assumed_eur: float
    description: str
    tiers: tuple[TierResult, ...] = ()
    """What each tier of the policy did, where they were asked."""
    tier_answers: tuple[tuple[TierAnswer, ...], ...] = ()
    """What they said to each text."""


@dataclass(frozen=True, slots=True)
class FrontierSource:
    """Where the frontier's answers come from, as the options say."""

    answers: Path | None
    url: str | None
    model: str | None
    price: str
    accuracy: float | None
    eur: float
    save: Path | None
    columns: ColumnNames
    """As named for the file of texts; they hold for a file of answers that has them, too."""
    region: str | None = None
    """Region of the server at `url`, as the policy names it."""
    policy: Path | None = None
    """The policy whose rules hold for what is sent to `url`."""
    tenant: str = DEFAULT_TENANT
    bootstrap: str | None = None
    """Kafka, for the egress records."""
    prefix: str | None = None
    tiers: bool = False
    """Ask the tiers of the policy."""

    @property
    def given(self) -> int:
        """Return how many sources are given."""
        return sum((self.answers is not None, self.url is not None, self.accuracy is not None, self.tiers))

    @property
    def options(self) -> list[str]:
        """Return the options that are given to say what the frontier answers, or what that costs."""
        given = {
            "--frontier-answers": self.answers is not None,
            "--frontier": self.url is not None,
            "--tiers": self.tiers,
            "--frontier-accuracy": self.accuracy is not None,
            "--frontier-eur": bool(self.eur),
        }
        return [option for option, is_given in given.items() if is_given]

    @property
    def asks(self) -> bool:
        """Whether texts are sent."""
        return self.url is not None or self.tiers

    def check(self, *, budget: bool, denied: bool) -> None:
        """Check that one source is given at most, no option that is for one without it and, for a budget, costs.

        Raises:
            UserError: the options contradict each other, or one is missing.
        """
        if self.given > 1 or (not self.given and not denied and (budget or self._describes)):
            raise UserError(
                "say what the frontier answers: --frontier-answers FILE, or --frontier URL to ask it now, or --tiers "
                "to ask those of the policy, or --frontier-accuracy 0.98 to assume so much: one of them. Without any, "
                "the small model alone is measured, and --accuracy chooses its keep_at"
            )
        if self.url is not None and self.model is None:
            raise UserError("--frontier needs --frontier-model NAME")
        asked_without_price = self.url is not None and self.price == UNKNOWN_PRICE
        if budget and (asked_without_price or (self.accuracy is not None and self.eur == 0)):
            raise UserError(f"--budget: {UNKNOWN_COSTS}: {GIVE_COSTS}")
        if self.asks and self.policy is None:
            raise UserError(
                f"{'--tiers' if self.tiers else '--frontier'} sends texts to a provider: it needs --policy FILE or "
                "SPRAT_POLICY, which says "
                f"what may be sent, and --tenant NAME whose rules hold ({DEFAULT_TENANT} otherwise)"
            )

    @property
    def _describes(self) -> bool:
        """Whether an option is given that says something of a frontier."""
        priced = self.price != UNKNOWN_PRICE or bool(self.eur)
        return priced or any(each is not None for each in (self.model, self.region, self.save))

    def broker(self) -> tuple[KafkaSettings, SecretStr] | None:
        """Return where egress records are written, and the secret of their hashes; None where no broker is given.

        Raises:
            UserError: a broker is given, but the services' secret is not; or a setting is wrong.
        """
        settings = load_command_settings()
        if self.bootstrap is None and "bootstrap" not in settings.kafka.model_fields_set:
            return None
        if len(settings.secret.get_secret_value()) < _MIN_SECRET:
            raise UserError(
                "SPRAT_SECRET is missing or too short: egress records on Kafka hold hashes keyed with the services' "
                "secret; set it, or give no broker (--bootstrap, SPRAT_KAFKA__BOOTSTRAP)"
            )
        return kafka_settings(self.bootstrap, self.prefix), settings.secret


def small_model_answers(
    model: Any, data: LabelledTexts, asked: TaskOfModel, language: str, outside_label: str
) -> SmallModelAnswers:
    """Run the small model on the texts.

    Raises:
        UserError: it does not know the language, or a label of the file.
    """
    check_labels(data, [model.card], outside_label)
    return answers_to_texts(model, data, asked, language)


def check_labels(data: LabelledTexts, cards: Sequence[Card], outside_label: str) -> None:
    """Check that each label of a file is one of a model, or the one of texts outside every label.

    Args:
        data: the file.
        cards: of the models; a label is to be one of at least one of them.
        outside_label: the label that means outside every label.

    Raises:
        UserError: a label is of none of them.
    """
    known = {outside_label, *(label for card in cards for label in card.labels or ())}
    has, these = ("the model has", "this model") if len(cards) == 1 else ("the models have", "them")
    several = cards[0].kind == MULTI_LABEL
    column = f', column "{data.columns[1]}"' if len(set(data.paths)) == 1 else ""  # each file has its own
    for path, row, cell in zip(data.paths, data.rows, data.labels, strict=True):
        for label in {*(split_labels(cell) if several else (cell,))} - known:
            texts = look_like_texts(data.labels)
            shown, named = ("no such label", "LABEL") if texts else (f'no label "{label}"', shlex.quote(label))
            raise UserError(
                f"{path}: row {row}{column}: {has} {shown}; correct it, or "
                f"add --outside-label {named} where it is outside for {these}, after the one that means that already"
            )


def answers_to_texts(model: Any, data: LabelledTexts, asked: TaskOfModel, language: str) -> SmallModelAnswers:
    """Run the small model on the texts, whatever their labels are.

    Raises:
        UserError: it does not know the language.
    """
    labels = model.card.labels or ()
    several = model.card.kind == MULTI_LABEL
    if primary_subtag(language) not in model.card.languages:
        raise UserError(f"--language {language}: the model serves {', '.join(model.card.languages)}")
    answers: list[Any] = []
    with ProgressBar() as bar:
        for start in range(0, len(data), _TEXTS_PER_BATCH):
            answers += model.answer([Question(text, language) for text in data.texts[start : start + _TEXTS_PER_BATCH]])
            bar.show("reading texts", len(answers), len(data))
    outputs = tuple(_one_label(answer.output) for answer in answers)
    likeliest = outputs if several else tuple(_likeliest(answer.output) for answer in answers)
    of_none = least_kept(model.card.keep_at_outside or 0.0)
    confidences = tuple(
        NEVER_KEPT if output is None and answer.confidence < of_none else answer.confidence
        for answer, output in zip(answers, outputs, strict=True)
    )
    by_words = None if model.card.lexical is None else tuple(answer.stage == BY_WORDS for answer in answers)
    has_task = asked.name != INTENT or not several
    name = f"{asked.name}/{model.card.name}" if has_task else model.card.name
    return SmallModelAnswers(name, model.card.version, labels, outputs, likeliest, confidences, by_words, several)


def _one_label(output: IntentOutput | LabelsOutput) -> str | None:
    """Return the label, or the set of labels as one; None for none."""
    if isinstance(output, IntentOutput):
        return output.label
    return one_label(each.label for each in output.labels) if output.labels else None


def _likeliest(output: IntentOutput) -> str | None:
    """Return the likeliest label, also where it is not published."""
    return output.alternatives[0].label if output.alternatives else output.label


def answered_by_words(small: SmallModelAnswers, outcomes: TextOutcomes) -> AnsweredByWords | None:
    """Return how much the lexical stage answered and how often rightly; None where the model has no such stage."""
    if small.by_words is None:
        return None
    answered = np.array(small.by_words, dtype=bool)
    right = wilson(int(outcomes.small_right[answered].sum()), int(answered.sum()))
    return AnsweredByWords(float(answered.mean()), right)


def frontier_result(
    source: FrontierSource,
    data: LabelledTexts,
    task: TaskOfModel,
    language: str,
    outside_label: str,
) -> FrontierResult:
    """Read the frontier's answers, ask for them, or assume them.

    Raises:
        UserError: the file or the frontier gives no usable answers.
    """
    if not source.given:
        return FrontierResult(None, 0.0, 0.0, "")
    several = outside_label if task.several else None
    if source.answers is not None:
        answers = read_answers(source.answers, data, source.eur, source.columns, several)
        return FrontierResult(answers, 0.0, 0.0, f"the frontier's answers: {source.answers}")
    if source.accuracy is not None:
        description = (
            f"the frontier: assumed to be right {source.accuracy:.1%} of the time, at {source.eur:g} EUR an answer"
        )
        return FrontierResult(None, source.accuracy, source.eur, description)
    answers, steps, simulated = _ask_frontier(source, data, task, language, outside_label)
    if source.save is not None:
        write_answers(source.save, data, answers)
    unusable = sum(label is None for label in answers.labels)
    who = f"the tiers of {source.policy}" if source.tiers else f"{source.model} at {source.url}"
    description = f"the frontier: {who}, asked now; {counted(unusable, 'text')} got no usable answer"
    if simulated:
        description += f"; {counted(simulated, 'text')} went to a simulator: what they cost is simulated"
    return FrontierResult(answers, 0.0, 0.0, description, compare_tiers(steps, data.labels, several), steps)


def text_outcomes(
    data: LabelledTexts,
    small: SmallModelAnswers,
    frontier: FrontierResult,
    outside_label: str,
    *,
    escalates: bool,
    denied: bool,
    unknown: bool,
) -> TextOutcomes:
    """Compare the answers of both models with the right labels.

    Args:
        data: the texts with the right labels.
        small: the small model's answers.
        frontier: the frontier's.
        outside_label: the label that means outside every label.
        escalates: whether the policy escalates texts without a label, however confident the small model is.
        denied: whether the policy denies the frontier, so that no text gets its answer.
        unknown: whether nothing is said of a frontier.
    """
    gold = [None if label == outside_label else label for label in data.labels]
    confidence = np.array(small.confidences, dtype=np.float64)
    if escalates:
        confidence[[output is None for output in small.outputs]] = NEVER_KEPT
    if frontier.answers is None:
        frontier_right = np.full(len(data), frontier.assumed_accuracy)
        eur = np.full(len(data), frontier.assumed_eur)
    else:
        pairs = zip(frontier.answers.labels, data.labels, strict=True)
        frontier_right = np.array([label == right for label, right in pairs], dtype=np.float64)
        eur = np.array(frontier.answers.eur, dtype=np.float64)
    small_right = np.array([output == label for output, label in zip(small.outputs, gold, strict=True)])
    return TextOutcomes(small_right, confidence, frontier_right, eur, denied, unknown)


def _ask_frontier(
    source: FrontierSource, data: LabelledTexts, task: TaskOfModel, language: str, outside_label: str
) -> tuple[FrontierAnswers, tuple[tuple[TierAnswer, ...], ...], int]:
    provider = plugins.load(plugins.PROVIDERS, "frontier")
    broker = source.broker()
    recorded = f"{_NO_RECORDS}, so no egress records are written" if broker is None else "egress records on Kafka"
    remark(f"{counted(len(data), 'text')} {_how_sent(source)}; {recorded}")
    with ExitStack() as stack:
        bar = stack.enter_context(ProgressBar())
        if broker is not None:
            stack.enter_context(explain_kafka_errors(broker[0]))
        answers = provider.ask_all(
            data.texts,
            provider.AskedTask(task.name, task.labels, task.files),
            language=language,
            endpoint=None if source.tiers else provider.Endpoint(source.url, source.model, source.price, source.region),
            policy=source.policy,
            tenant=source.tenant,
            broker=None if broker is None else provider.Broker(*broker),
            progress=lambda done: bar.show("asking the frontier", done, len(data)),
        )
    denied = _denied_tiers(answers[2])
    if denied and source.policy is not None:
        which = f"tier{'s' if len(denied) > 1 else ''} {' and '.join(denied)}"
        remark(f"{which}: not asked, by the policy of {source.tenant}; {tenants_that_may(load_policy(source.policy))}")
    steps = tuple(tuple(_tier_answer(step, task, outside_label) for step in each) for each in answers[2])
    labels = tuple(None if each is None else task.as_one_label(each, outside_label) for each in answers[0])
    return FrontierAnswers(labels, tuple(answers[1])), steps, answers[3]


def _how_sent(source: FrontierSource) -> str:
    """Return where the texts go and what of them is masked: all that goes to an API, whatever the policy lets go."""
    if source.tiers or source.url is None or source.policy is None:
        inside = "whole to those inside the house without `mask: true`"
        return f"to put to the tiers by the policy of {source.tenant}: masked on the way to those outside, {inside}"
    policy = load_policy(source.policy)
    sent = f"to send to {source.url}, masked by the policy of {source.tenant}"
    if policy.is_inside(urlsplit(source.url).hostname or ""):
        return f"{sent}, although that host is inside the house: a tier there (--tiers) gets them whole"
    if policy.tenant(source.tenant).frontier == "allow":
        return f"{sent}, which lets the frontier service send them whole: `sprat assess` always masks here"
    return sent


def _denied_tiers(climbs: Iterable[Sequence[TierStep]]) -> tuple[str, ...]:
    """Return the tiers to which the policy let no text go."""
    outcomes: dict[str, set[str]] = {}
    for step in chain.from_iterable(climbs):
        outcomes.setdefault(step.tier, set()).add(step.outcome)
    return tuple(tier for tier, found in outcomes.items() if found == {ReasonCode.POLICY})


def _tier_answer(step: TierStep, task: TaskOfModel, outside_label: str) -> TierAnswer:
    said = step.labels if task.several else () if step.label is None else (step.label,)
    answered = step.outcome in {"kept", ReasonCode.UNSURE}
    label = task.as_one_label(said, outside_label) if answered and said is not None else None
    asked = step.outcome not in {ReasonCode.POLICY, ReasonCode.MASKING, ReasonCode.TASK, ReasonCode.NO_CONFIDENCE}
    return TierAnswer(
        step.tier, label, step.outcome == "kept", step.cost_eur, asked, step.confidence, cached=step.cached
    )
