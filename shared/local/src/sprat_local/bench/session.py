"""One run of `sprat bench`: the bare model, an installation, the measurements, the bare model again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from sprat.errors import SpratError, UserError
from sprat_local.bench.bare_process import Bare, BareModel
from sprat_local.bench.figures import BenchFigures, Drained, Rung
from sprat_local.bench.installation import bench_options, delete_topics, meter_of, service_variables
from sprat_local.bench.measure import Bench, Show
from sprat_local.bench.plan import Plan
from sprat_local.bench.report import row
from sprat_local.bench.resources import Memory, machine_facts
from sprat_local.bench.texts import Messages, load_texts
from sprat_local.console.signals import Interrupted, StopSignals
from sprat_local.installation import Installation
from sprat_local.notices import Notice
from sprat_local.plan import choose_services
from sprat_local.processes.data_folder import DataFolder
from sprat_operations.topics import list_topics

_FOLDER: Final = "sprat-bench-"
"""How its temporary folder's name begins. It holds the texts: one that a killed run left is removed by the next."""

Tell = Callable[[str], None]
"""Gets a line for the person who waits."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the installation showed."""

    drained: Drained
    rungs: tuple[Rung, ...]
    memory: dict[str, Memory]
    others: float
    """Cores that other processes of this machine took meanwhile, on average."""


class BenchSession:
    """Owns everything that a run starts."""

    def __init__(self, plan: Plan, *, bootstrap: str | None, prefix: str, tell: Tell, show: Show) -> None:
        self._plan = plan
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._tell = tell
        self._show = show
        self._installation = Installation()
        self._bare: BareModel | None = None

    def run(self) -> BenchFigures | None:
        """Run it all; None when a person stopped it.

        Raises:
            UserError: it cannot start.
            SpratError: something died while it was measured.
        """
        folder = DataFolder.acquire(None, _FOLDER)
        with StopSignals(self._kill_all) as signals:
            try:
                return self._run(folder.path, signals)
            except (Interrupted, asyncio.CancelledError):
                return None
            except KafkaError as error:
                raise SpratError(f"the broker went away while it was measured: {type(error).__name__}") from None
            finally:
                folder.release()

    def _run(self, folder: Path, signals: StopSignals) -> BenchFigures:
        plan, texts = self._plan, load_texts(self._plan)
        options = bench_options(plan, folder, bootstrap=self._bootstrap, prefix=self._prefix)
        self._installation = Installation(options, on_notice=self._event, on_progress=self._tell)
        self._check()
        machine = machine_facts(plan.task, embedded=self._bootstrap is None)
        self._bare = BareModel(plan.task, texts, folder, service_variables(plan))
        self._tell("The bare model, alone …")
        before = self._bare.run(count=plan.texts, seconds=plan.seconds)
        self._tell(f"  {before.texts:,} texts, {before.cpu_s_per_1000:.2f} s of CPU for 1,000")
        served = [texts[place] for place in before.served]
        if left_out := len(texts) - len(served):
            self._tell(f"  {left_out:,} of {len(texts):,} texts are left out: the model does not serve them")
        messages = Messages(served, plan.task, self._installation.models[plan.task])
        measured = self._with_installation(messages, before, signals)
        self._tell("The bare model, once more …")
        after = self._bare.run(count=before.texts)
        return BenchFigures(
            plan, machine, (before, after), measured.drained, measured.rungs, measured.memory, measured.others
        )

    def _with_installation(self, messages: Messages, bare: Bare, signals: StopSignals) -> Measured:
        """Start it, measure, stop it; delete the topics on a Kafka that stays."""
        installation = self._installation
        servers = "Redis" if self._bootstrap else "Kafka, Redis"
        self._tell(f"Starting {servers}, {self._plan.task} and the router …")
        try:
            installation.start()
            return asyncio.run(self._measure(messages, bare, signals))
        finally:
            self._clean_up(signals)

    def _check(self) -> None:
        """Find out what is in the way before the work.

        Raises:
            UserError: a service is not installed, or Kafka cannot be reached.
        """
        choose_services(self._installation.options)
        if self._bootstrap is not None:
            asyncio.run(list_topics(self._installation.kafka.client(), self._installation.topics))

    def _clean_up(self, signals: StopSignals) -> None:
        """Stop everything, delete the topics on a Kafka that stays. A first signal meanwhile waits until that is done.

        Raises:
            Interrupted: there was one.
        """
        seen: list[bool] = []
        signals.instead(lambda: seen.append(True))
        self._installation.stop()
        if self._bootstrap is not None and "kafka and redis" in self._installation.phases:
            self._delete_topics()
        signals.instead(None)
        if seen:
            raise Interrupted

    async def _measure(self, messages: Messages, bare: Bare, signals: StopSignals) -> Measured:
        """Measure; the first signal cancels it."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def leave() -> None:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        signals.instead(leave)
        installation, plan = self._installation, self._plan
        meter = meter_of(installation)
        began, others_s = time.monotonic(), meter.others_s()
        async with Bench(installation, plan.task, messages, self._show) as bench:
            self._tell("A backlog, as fast as it goes …")
            drained = await bench.drain(bare.texts, meter)
            self._tell(f"  {drained.texts_per_s:,.0f} texts/s")
            self._tell(f"{len(plan.rates)} rates, {plan.seconds:g} s each …")
            rungs = []
            for rate in plan.rates:
                rungs.append(await bench.climb(rate, drained.texts_per_s, plan.seconds))
                self._tell(_line(rungs[-1]))
            others = (meter.others_s() - others_s) / (time.monotonic() - began)
            return Measured(drained, tuple(rungs), meter.memory(), max(0.0, others))

    def _delete_topics(self) -> None:
        try:
            asyncio.run(delete_topics(self._installation.kafka.client(), self._installation.topics))
        except (UserError, KafkaError, OSError, TimeoutError) as error:
            prefix = self._installation.topics.prefix
            self._tell(f"the topics {prefix}.* could not be deleted ({type(error).__name__}): delete them yourself")

    def _event(self, event: Notice) -> None:
        self._tell(f"{event.service}: {event.text}")

    def _kill_all(self) -> None:
        if self._bare is not None:
            self._bare.kill()
        self._installation.kill_all()


def _line(rung: Rung) -> str:
    """Give a rate in one line."""
    share, per_s, _, p50, _, p99, _, remark = row(rung)
    return f"  {share:>5} {per_s:>7}/s  p50 {p50}, p99 {p99}  {remark}".rstrip()
