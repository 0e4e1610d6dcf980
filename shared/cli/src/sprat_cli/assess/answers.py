"""What `sprat assess` observes: the small model on each text, and the frontier from a file, asked, or assumed."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import SecretStr

from sprat import plugins
from sprat.errors import UserError
from sprat.model import Question
from sprat.settings import KafkaSettings
from sprat_cli.connection import kafka_settings, load_command_settings, reaching
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import remark
from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.rows import Labelled, may_be_texts
from sprat_training.evaluation.frontier_answers import FrontierAnswers, read_answers, write_answers
from sprat_training.evaluation.strategies import Observed
from sprat_training.evaluation.thresholds import GIVE_COSTS, UNKNOWN_COSTS

_AT_ONCE: Final = 500
_SHORTEST_SECRET: Final = 16
DEFAULT_TENANT: Final = "default"
UNKNOWN_PRICE: Final = "0/0"
"""Of a million tokens in and out, where nobody says."""


@dataclass(frozen=True, slots=True)
class Small:
    """What the small model says."""

    name: str
    version: str
    labels: tuple[str, ...]
    """All that it knows."""
    outputs: tuple[str | None, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Large:
    """What the frontier says, or is assumed to."""

    answers: FrontierAnswers | None
    accuracy: float
    """Assumed, without answers."""
    eur: float
    told: str


@dataclass(frozen=True, slots=True)
class Frontier:
    """Where a person says the frontier's answers come from."""

    answers: Path | None
    url: str | None
    model: str | None
    price: str
    accuracy: float | None
    eur: float
    save: Path | None
    columns: Wanted
    """As named for the file of texts; a file of answers that has them is read by them, too."""
    region: str | None = None
    """Region of the server at `url`, as the policy names it."""
    policy: Path | None = None
    """The policy whose rules hold for what is sent to `url`."""
    tenant: str = DEFAULT_TENANT
    bootstrap: str | None = None
    """Kafka, for the egress records."""
    prefix: str | None = None

    def check(self, *, budget: bool) -> None:
        """See that it is said once, and what it costs where a budget is to be kept.

        Raises:
            UserError: it is not.
        """
        given = [self.answers is not None, self.url is not None, self.accuracy is not None]
        if sum(given) != 1:
            raise UserError(
                "say what the frontier answers: --frontier-answers FILE, or --frontier URL to ask it now, or "
                "--frontier-accuracy 0.98 to assume so much"
            )
        if self.url is not None and self.model is None:
            raise UserError("--frontier needs --frontier-model NAME")
        asked_for_free = self.url is not None and self.price == UNKNOWN_PRICE
        if budget and (asked_for_free or (self.accuracy is not None and self.eur == 0)):
            raise UserError(f"--budget: {UNKNOWN_COSTS}: {GIVE_COSTS}")
        if self.url is not None and self.policy is None:
            raise UserError(
                "--frontier sends texts out: it needs --policy FILE, which says what may leave, and --tenant NAME for "
                f"whose rules hold ({DEFAULT_TENANT} otherwise)"
            )

    def broker(self) -> tuple[KafkaSettings, SecretStr] | None:
        """Return where egress records are written, and the secret of their hashes; None where no broker is given.

        Raises:
            UserError: a broker is given, but the services' secret is not; or a setting is wrong.
        """
        settings = load_command_settings()
        if self.bootstrap is None and "bootstrap" not in settings.kafka.model_fields_set:
            return None
        if len(settings.secret.get_secret_value()) < _SHORTEST_SECRET:
            raise UserError(
                "SPRAT_SECRET is missing or too short: egress records on Kafka hold hashes keyed with the services' "
                "secret; set it, or give no broker (--bootstrap, SPRAT_KAFKA__BOOTSTRAP)"
            )
        return kafka_settings(self.bootstrap, self.prefix), settings.secret


def small_answers(model: Any, data: Labelled, language: str, outside: str) -> Small:
    """Ask the small model.

    Raises:
        UserError: it does not know the language, or a label of the file.
    """
    labels = model.card.labels or ()
    known = {*labels, outside}
    for row, label in zip(data.rows, data.labels, strict=True):
        if label not in known:
            told = "no such label" if may_be_texts(data.labels) else f'no label "{label}"'
            raise UserError(
                f'{data.path}: row {row}, column "{data.columns[1]}": the model has {told}; correct it, or '
                f"say with --outside-label which label stands for texts outside all of them"
            )
    if primary_subtag(language) not in model.card.languages:
        raise UserError(f"--language {language}: the model serves {', '.join(model.card.languages)}")
    answers: list[Any] = []
    with ProgressBar() as bar:
        for start in range(0, len(data), _AT_ONCE):
            answers += model.answer([Question(text, language) for text in data.texts[start : start + _AT_ONCE]])
            bar.show("reading texts", len(answers), len(data))
    outputs = tuple(answer.output.label for answer in answers)
    confidences = tuple(answer.confidence for answer in answers)
    return Small(f"intent/{model.card.name}", model.card.version, labels, outputs, confidences)


def frontier_answers(frontier: Frontier, data: Labelled, labels: tuple[str, ...], language: str, outside: str) -> Large:
    """Read, ask for, or assume the frontier's answers.

    Raises:
        UserError: they cannot be had.
    """
    if frontier.answers is not None:
        read = read_answers(frontier.answers, data, frontier.eur, frontier.columns)
        return Large(read, 0.0, 0.0, f"the frontier's answers: {frontier.answers}")
    if frontier.accuracy is not None:
        told = (
            f"the frontier: assumed to be right {frontier.accuracy:.1%} of the time, at {frontier.eur:g} EUR an answer"
        )
        return Large(None, frontier.accuracy, frontier.eur, told)
    asked = _asked(frontier, data, labels, language, outside)
    if frontier.save is not None:
        write_answers(frontier.save, data, asked)
    without = sum(label is None for label in asked.labels)
    told = f"the frontier: {frontier.model} at {frontier.url}, asked now; {without:,} texts got no usable answer"
    return Large(asked, 0.0, 0.0, told)


def observed(data: Labelled, small: Small, large: Large, outside: str, *, escalates: bool) -> Observed:
    """Bring it together; `escalates`: the policy escalates what is taken to be outside, however sure the model is."""
    gold = [None if label == outside else label for label in data.labels]
    confidence = np.array(small.confidences, dtype=np.float64)
    if escalates:
        confidence[[output is None for output in small.outputs]] = -1.0
    if large.answers is None:
        frontier_right = np.full(len(data), large.accuracy)
        eur = np.full(len(data), large.eur)
    else:
        frontier_right = np.array(
            [label == right for label, right in zip(large.answers.labels, data.labels, strict=True)], dtype=np.float64
        )
        eur = np.array(large.answers.eur, dtype=np.float64)
    right = np.array([output == label for output, label in zip(small.outputs, gold, strict=True)])
    return Observed(right, confidence, frontier_right, eur)


def load_small(folder: Path, threads: int) -> Any:
    """Load the small model.

    Raises:
        UserError: it cannot be loaded, or the intent service is not installed.
    """
    model = plugins.load(plugins.MODELS, "intent")
    try:
        return model.load(folder, threads=threads)
    except BrokenArtefact as error:
        raise UserError(f"--model: {error}") from None


def _asked(frontier: Frontier, data: Labelled, labels: tuple[str, ...], language: str, outside: str) -> FrontierAnswers:
    module = plugins.load(plugins.PROVIDERS, "frontier")
    broker = frontier.broker()
    recorded = "no broker is given, so no egress records are written" if broker is None else "egress records on Kafka"
    remark(f"{len(data):,} texts go to {frontier.url}, masked by the policy of {frontier.tenant}; {recorded}")
    with ExitStack() as stack:
        bar = stack.enter_context(ProgressBar())
        if broker is not None:
            stack.enter_context(reaching(broker[0]))
        found: tuple[list[str | None], list[float]] = module.ask_all(
            data.texts,
            labels,
            language=language,
            endpoint=module.Endpoint(frontier.url, frontier.model, frontier.price, frontier.region),
            policy=frontier.policy,
            tenant=frontier.tenant,
            broker=None if broker is None else module.Broker(*broker),
            outside=outside,
            progress=lambda done: bar.show("asking the frontier", done, len(data)),
        )
    return FrontierAnswers(tuple(found[0]), tuple(found[1]))
