"""What a large model answers to the rows of an evaluation, and what the routing to it gives at the goal."""

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sprat.base import plugins
from sprat.base.errors import UserError
from sprat_contracts import ReasonCode, TierStep
from sprat_policy import TaskFiles
from sprat_training.datasets.reader import read_column, read_labelled
from sprat_training.datasets.rows import normalised_text
from sprat_training.evaluation.cases import Asked, Cases, gold_of
from sprat_training.evaluation.metrics import Interval, allow_for_unseen, wilson
from sprat_training.thresholds.rows import Flags

_COST: Final = "cost_eur"
_MAX_EUR: Final = 1_000_000.0
_MILLION: Final = 1_000_000
_RESAMPLES: Final = 1_000
_NOT_ASKED: Final = frozenset({ReasonCode.POLICY, ReasonCode.MASKING, ReasonCode.TASK, ReasonCode.NO_CONFIDENCE})


@dataclass(frozen=True, slots=True)
class FrontierAnswers:
    """One entry per row."""

    said: tuple[Hashable, ...]
    """As `said_of` returns it; an exception where there is no usable answer: `NO_ANSWER`."""
    eur: NDArray[np.float64]
    steps: tuple[tuple[TierStep, ...], ...] = ()
    """What the tiers of the policy said, where they were asked."""
    simulated: int = 0
    """Rows that a simulator got: their costs are simulated."""


NO_ANSWER: Final = object()


@dataclass(frozen=True, slots=True)
class TierResult:
    """What one tier did with the rows that reached it."""

    tier: str
    asked: int
    kept: int
    right: int
    """Of the kept ones."""
    eur_per_million: float

    def __str__(self) -> str:
        right = f", {100 * self.right / self.kept:.1f} % of these right" if self.kept else ""
        return (
            f"tier {self.tier}: {self.asked:,} rows reached it, {self.kept:,} kept{right}, "
            f"{self.eur_per_million:.2f} EUR per million"
        )


@dataclass(frozen=True, slots=True)
class Routed:
    """All answers, where what the small model does not keep goes to a large one."""

    escalated: float
    """Share of the rows."""
    right: Interval
    """Of all answers."""
    frontier_right: Interval
    """Of the large model's answers to all rows, also those that it would not get."""
    eur_per_million: Interval
    """For a million texts, kept ones among them."""
    tiers: tuple[TierResult, ...]
    simulated: int

    def __str__(self) -> str:
        cost = self.eur_per_million
        return (
            f"with the frontier: {self.right} of all answers right, {100 * self.escalated:.1f} % escalated, "
            f"{cost.value:.2f} EUR per million texts ({cost.low:.2f} to {cost.high:.2f}); the frontier alone: "
            f"{self.frontier_right} right"
            + (f"; {self.simulated:,} rows went to a simulator" if self.simulated else "")
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """Return it as JSON; intervals are value, low and high."""

        def ends(interval: Interval, digits: int) -> list[float]:
            return [round(each, digits) for each in (interval.value, interval.low, interval.high)]

        return {
            "escalated": round(self.escalated, 4),
            "right": ends(self.right, 4),
            "frontier_right": ends(self.frontier_right, 4),
            "eur_per_million": ends(self.eur_per_million, 2),
            "simulated": self.simulated,
            "tiers": [asdict(each) | {"eur_per_million": round(each.eur_per_million, 2)} for each in self.tiers],
        }


def read_answers(path: Path, cases: Cases) -> FrontierAnswers:
    """Read answers to the rows: a file with text, label and `cost_eur`, as `ask_frontier` can be saved.

    Raises:
        UserError: it cannot be read, or lacks an answer to a row.
    """
    several = cases.kind == "sets"
    answers = read_labelled(path, several=several)
    costs = read_column(path, _COST)
    found = {}
    for text, label, row in zip(answers.texts, answers.labels, answers.rows, strict=True):
        found[normalised_text(text)] = gold_of(label, cases.outside_label, several=several), _euros(path, row, costs)
    missing = [place for place, text in enumerate(cases.texts.texts) if normalised_text(text) not in found]
    if missing:
        raise UserError(f"{path}: has no answer to {len(missing):,} rows, the first: {cases.texts.place(missing[0])}")
    pairs = [found[normalised_text(text)] for text in cases.texts.texts]
    return FrontierAnswers(tuple(said for said, _ in pairs), np.array([eur for _, eur in pairs], dtype=np.float64))


def ask_frontier(
    cases: Cases,
    asked: Asked,
    policy: Path,
    tenant: str,
    broker: tuple[Any, Any] | None,
    files: TaskFiles,
    progress: Callable[[int, int], None],
    *,
    tier: str | None = None,
) -> FrontierAnswers:
    """Ask the tiers of a policy about the rows, on the path of the frontier service: rules, masking, egress records.

    Args:
        cases: the rows.
        asked: the task and its labels.
        policy: the file.
        tenant: whose rules of the policy hold.
        broker: settings of Kafka and the secret, for egress records; None: there are none.
        files: the tasks from files.
        progress: is called with the rows done, and all.
        tier: the only one to ask, for answers with a probability; None: all, as the service does.

    Raises:
        UserError: a setting or the policy cannot be used, nothing may leave, or calls keep failing.
    """
    if cases.kind not in {"label", "sets"}:
        raise UserError("a large model is asked for labels only, and this model gives none")
    provider = plugins.load(plugins.PROVIDERS, "frontier")
    own = TaskFiles({asked.task: files[asked.task]}, files.folder) if asked.task in files else TaskFiles()
    labels, eur, steps, simulated = provider.ask_all(
        cases.texts.texts,
        provider.AskedTask(asked.task, asked.labels, own),
        languages=[each.language for each in cases.questions],
        policy=policy,
        tenant=tenant,
        broker=None if broker is None else provider.Broker(*broker),
        progress=lambda done: progress(done, len(cases)),
        tier=tier,
    )
    several = cases.kind == "sets"
    said = tuple(NO_ANSWER if each is None else _said(each, several=several) for each in labels)
    return FrontierAnswers(said, np.array(eur, dtype=np.float64), tuple(steps), simulated)


def write_answers(path: Path, cases: Cases, answers: FrontierAnswers) -> None:
    """Write the usable answers as JSON Lines, for `read_answers`.

    Raises:
        UserError: the file cannot be written.
    """
    lines = []
    for text, said, eur in zip(cases.texts.texts, answers.said, answers.eur, strict=True):
        if said is NO_ANSWER:
            continue
        label: Any = sorted(said) if isinstance(said, frozenset) else cases.outside_label if said is None else said
        lines.append(json.dumps({"text": text, "label": label, _COST: float(eur)}, ensure_ascii=False))
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def route(answers: FrontierAnswers, kept: Flags, right: Flags, cases: Cases) -> Routed:
    """Return what all answers are worth where what is not kept goes to the large model.

    The interval of the cost is by bootstrap over rows, and no narrower than unseen rows allow.

    Args:
        answers: of the large model.
        kept: whether the small model's answer is kept.
        right: whether it is right.
        cases: the rows.
    """
    by_frontier = np.array([one == gold for one, gold in zip(answers.said, cases.gold, strict=True)], dtype=bool)
    count = len(cases)
    all_right = int(np.where(kept, right, by_frontier).sum())
    cost = np.where(kept, 0.0, answers.eur) * _MILLION
    draws = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
    low, high = np.quantile(cost[draws].mean(axis=1), (0.025, 0.975))
    drawn = Interval(float(cost.mean()), float(low), float(high))
    return Routed(
        float((~kept).mean()),
        wilson(all_right, count),
        wilson(int(by_frontier.sum()), count),
        allow_for_unseen(drawn, count, 0.0, float(answers.eur.mean()) * _MILLION),
        _tiers(answers.steps, cases),
        answers.simulated,
    )


def step_said(step: TierStep, *, several: bool) -> Hashable:
    """Return what a tier said; `NO_ANSWER` where it gave no answer."""
    if step.outcome not in {"kept", ReasonCode.UNSURE}:
        return NO_ANSWER
    if several:
        return NO_ANSWER if step.labels is None else frozenset(step.labels)
    return step.label


def _said(labels: Sequence[str], *, several: bool) -> Hashable:
    return frozenset(labels) if several else next(iter(labels), None)


def _tiers(steps: Sequence[Sequence[TierStep]], cases: Cases) -> tuple[TierResult, ...]:
    by_tier: dict[str, list[tuple[TierStep, Any]]] = {}
    for climb, gold in zip(steps, cases.gold, strict=False):
        for step in climb:
            if step.outcome not in _NOT_ASKED:
                by_tier.setdefault(step.tier, []).append((step, gold))
    results = []
    for tier, pairs in by_tier.items():
        kept = [(step, gold) for step, gold in pairs if step.outcome == "kept"]
        right = sum(step_said(step, several=cases.kind == "sets") == gold for step, gold in kept)
        eur = sum(step.cost_eur for step, _ in pairs) / len(pairs)
        results.append(TierResult(tier, len(pairs), len(kept), right, eur * _MILLION))
    return tuple(results)


def _euros(path: Path, row: int, costs: Any) -> float:
    value = costs.get(row) or 0.0
    try:
        eur = float(str(value).strip().replace(",", "."))
    except ValueError:
        eur = -1.0
    if not 0 <= eur < _MAX_EUR:
        raise UserError(f'{path}: row {row}, column "{_COST}": not an amount of euros, as 0.0003')
    return eur
