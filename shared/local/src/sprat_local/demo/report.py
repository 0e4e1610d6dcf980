"""What came of the demo, and whether it kept the promise. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sprat_contracts import TASKS
from sprat_local.demo.account import Account, Pair, Place
from sprat_local.demo.figures import MISSING, Latency, Leaving, TaskFigures, latency, leaving, task_figures
from sprat_local.demo.publishing import Published
from sprat_local.demo.samples import Broken, Sample
from sprat_local.demo.trace import Trace, pick_trace


@dataclass(frozen=True, slots=True)
class Run:
    """What the demo knows of its own run."""

    cold_start_s: float
    """From the start of the process to the first Result in hand, Kafka's start included."""
    phases: Mapping[str, float]
    """What was reached → seconds after the installation began to start."""
    published_per_s: float
    lag: Mapping[str, int]
    """By consumer group, in the end."""
    timed_out: bool
    """Nothing more came for too long."""


@dataclass(frozen=True, slots=True)
class Report:
    """The account of a demo."""

    texts: int
    broken: int
    pairs: int
    results: int
    """Accepted pairs that have a Result."""
    lost: int
    """Accepted pairs without one."""
    duplicated_ids: int
    """Result ids found on more than one record. Delivery is at least once: this may happen, but not in a quiet run."""
    several_ids: int
    """Accepted pairs with more than one Result id: must not happen."""
    unexpected_results: int
    dead_letters: int
    dead_letters_by_code: Mapping[str, int]
    cold_start_s: float
    phases: Mapping[str, float]
    published_per_s: float
    tasks: Mapping[str, TaskFigures]
    latency: Mapping[str, Latency]
    cost_eur: float
    all_frontier_eur: float
    leaving: Leaving
    lag: Mapping[str, int]
    trace: Trace | None
    problems: tuple[str, ...]
    """What did not go as promised, a line each."""

    @property
    def ok(self) -> bool:
        """Did everything go as promised?"""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        return asdict(self) | {"ok": self.ok}


def expected_pairs(published: Iterable[Published]) -> dict[Pair, Any]:
    """Give every pair that must get a Result, with its gold answer (`MISSING` without one)."""
    pairs = {}
    for one in published:
        gold = one.outgoing.sample.gold if isinstance(one.outgoing.sample, Sample) else {}
        for task in one.accepted_tasks:
            pairs[Pair(*one.identity, task)] = gold.get(task, MISSING)
    return pairs


def expected_letters(published: Iterable[Published]) -> dict[Place, Published]:
    """Give every record that must get a dead letter."""
    return {
        Place(one.topic, one.partition, one.offset): one for one in published if isinstance(one.outgoing.sample, Broken)
    }


def is_complete(published: Sequence[Published], account: Account) -> bool:
    """Tell whether every pair has a Result and every broken record a dead letter."""
    return all(account.endings.get(pair) for pair in expected_pairs(published)) and all(
        account.letters.get(place) for place in expected_letters(published)
    )


def make_report(published: Sequence[Published], account: Account, run: Run) -> Report:
    """Sum up."""
    golds = expected_pairs(published)
    endings = [ending for pair in golds for ending in account.endings.get(pair, [])]
    ids = Counter(ending.result_id for ending in endings)
    tasks = {task: task_figures(task, golds, account) for task in TASKS}
    found = [letter for letters in account.letters.values() for letter in letters]
    return Report(
        texts=sum(isinstance(one.outgoing.sample, Sample) for one in published),
        broken=len(expected_letters(published)),
        pairs=len(golds),
        results=sum(bool(account.endings.get(pair)) for pair in golds),
        lost=sum(not account.endings.get(pair) for pair in golds),
        duplicated_ids=sum(count > 1 for count in ids.values()),
        several_ids=sum(len({e.result_id for e in account.endings.get(pair, [])}) > 1 for pair in golds),
        unexpected_results=sum(len(found) for pair, found in account.endings.items() if pair not in golds),
        dead_letters=len(found),
        dead_letters_by_code=dict(Counter(letter.reason.code for letter in found).most_common()),
        cold_start_s=run.cold_start_s,
        phases=run.phases,
        published_per_s=run.published_per_s,
        tasks={task: figures for task, figures in tasks.items() if figures.pairs},
        latency={
            decision: latency(ending for ending in endings if ending.result.route.decision == decision)
            for decision in ("kept", "escalated")
        },
        cost_eur=sum(figures.cost_eur for figures in tasks.values()),
        all_frontier_eur=sum(figures.all_frontier_eur or 0.0 for figures in tasks.values()),
        leaving=leaving(account.endings[pair][0].result for pair in golds if account.endings.get(pair)),
        lag=run.lag,
        trace=pick_trace(published, account),
        problems=tuple(_problems(published, golds, account, run)),
    )


def _problems(published: Sequence[Published], golds: Mapping[Pair, Any], account: Account, run: Run) -> Iterable[str]:
    """Tell what breaks the promise."""
    for pair in golds:
        ids = {ending.result_id for ending in account.endings.get(pair, [])}
        if len(ids) != 1:
            yield f"{pair.id}, {pair.task}: {len(ids) or 'no'} Result ids instead of one"
    for pair in account.endings.keys() - golds.keys():
        yield f"{pair.id}, {pair.task}: a Result that nobody asked for"
    yield from _letter_problems(expected_letters(published), account)
    for group, behind in run.lag.items():
        if behind:
            yield f"group {group} is {behind} record{'s' * (behind != 1)} behind"
    if account.unreadable:
        yield f"{account.unreadable} record{'s' * (account.unreadable != 1)} of a kind that the topic does not hold"
    if run.timed_out:
        yield "nothing more came for too long: given up"


def _letter_problems(expected: Mapping[Place, Published], account: Account) -> Iterable[str]:
    for place, one in expected.items():
        letters, sample = account.letters.get(place, []), one.outgoing.sample
        if len(letters) != 1:
            yield f"{sample.id}: {len(letters) or 'no'} dead letters instead of one"
            continue
        (letter,) = letters
        code = sample.expect.partition(":")[0] if isinstance(sample, Broken) else ""
        if letter.reason.code != code:
            yield f"{sample.id}: dead letter {letter.reason.code} instead of {code}"
        if not letter.holds(one.outgoing.value, one.outgoing.headers):
            yield f"{sample.id}: its dead letter does not hold the original untouched"
    for place in account.letters.keys() - expected.keys():
        for letter in account.letters[place]:
            yield f"a dead letter of a good record: {letter.reason.code} by {letter.reason.service} ({place})"
