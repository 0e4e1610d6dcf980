"""One run of `sprat bench`: the bare model, an installation, the measurements, the bare model again."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import section_prefix
from sprat.kafka.clients import close_in_time
from sprat_contracts import Topics
from sprat_local.bench.bare_model import BareModel, BareRun
from sprat_local.bench.figures import BacklogResult, BenchFigures, RateResult
from sprat_local.bench.measure import Bench, OnCount
from sprat_local.bench.plan import BenchPlan
from sprat_local.bench.report import rate_row
from sprat_local.bench.resources import Memory, ProcessMeter, machine_facts
from sprat_local.bench.texts import BenchMessages, load_texts
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, choose_services
from sprat_local.processes.data_folder import DataFolder
from sprat_local.processes.notices import Notice
from sprat_local.processes.signals import Interrupted, StopSignals
from sprat_operations.services import CLASSIFY, program_of
from sprat_operations.topics import list_topics
from sprat_policy import TASKS_FOLDER, TaskFiles, load_task_files

DEFAULT_PREFIX: Final = "sprat-bench"
POLICY: Final = """\
# Every answer of the small model is kept: a benchmark asks no frontier.
tasks:
  intent: {keep_at: 0, out_of_scope: keep, uncalibrated: keep}
  ner: {keep_at: 0, uncalibrated: keep}
  translation: {keep_at: 0, uncalibrated: keep}
  language-id: {keep_at: 0, uncalibrated: keep}
"""
_ROUTER: Final = "router"
_FOLDER: Final = "sprat-bench-"
"""Prefix of its temporary folder, which contains the texts: the next run removes that of a killed one."""
_DELETE_TIMEOUT_S: Final = 15.0

PrintLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measurements:
    """The measurements of the installation."""

    backlog: BacklogResult
    rates: tuple[RateResult, ...]
    memory: dict[str, Memory]
    others: float
    """Cores that other processes of this machine used meanwhile, on average."""


class BenchSession:
    """One run; it owns everything that it starts."""

    def __init__(
        self, plan: BenchPlan, *, bootstrap: str | None, prefix: str, print_line: PrintLine, on_count: OnCount
    ) -> None:
        self._plan = plan
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._print = print_line
        self._on_count = on_count
        self._installation = Installation()
        self._bare: BareModel | None = None

    def run(self) -> BenchFigures | None:
        """Run it; return None if a signal stopped it.

        Raises:
            UserError: it cannot start.
            SpratError: a process died during the measurement.
        """
        folder = DataFolder.acquire(None, _FOLDER)
        with StopSignals(self._kill_all) as signals:
            try:
                return self._run(folder.path, signals)
            except (Interrupted, asyncio.CancelledError):
                return None
            except KafkaError as error:
                raise SpratError(
                    f"the broker became unreachable during the measurement: {type(error).__name__}"
                ) from None
            finally:
                folder.release()

    def _run(self, folder: Path, signals: StopSignals) -> BenchFigures:
        plan, texts = self._plan, load_texts(self._plan)
        options = bench_options(plan, folder, bootstrap=self._bootstrap, prefix=self._prefix)
        self._installation = Installation(options, on_notice=self._print_notice, on_progress=self._print)
        self._check()
        machine = machine_facts(plan.task, embedded=self._bootstrap is None)
        self._bare = BareModel(plan.task, texts, folder, bare_variables(plan, folder))
        self._print("The bare model, alone …")
        before = self._bare.run(count=plan.texts, seconds=plan.seconds)
        self._print(f"  {before.texts:,} texts, {before.cpu_s_per_1000:.2f} s of CPU per 1,000")
        served = [texts[index] for index in before.served]
        if skipped := len(texts) - len(served):
            self._print(f"  {skipped:,} of {len(texts):,} texts are skipped: the model does not serve them")
        messages = BenchMessages(served, plan.task, self._installation.models[plan.task])
        measurements = self._measure_installation(messages, before, signals)
        self._print("The bare model, once more …")
        after = self._bare.run(count=before.texts)
        return BenchFigures(
            plan,
            machine,
            (before, after),
            measurements.backlog,
            measurements.rates,
            measurements.memory,
            measurements.others,
        )

    def _measure_installation(self, messages: BenchMessages, bare: BareRun, signals: StopSignals) -> Measurements:
        """Start it, measure, stop it; delete the topics on an existing Kafka."""
        installation = self._installation
        servers = "Redis" if self._bootstrap else "Kafka, Redis"
        self._print(f"Starting {servers}, {self._plan.task} and the router …")
        try:
            installation.start()
            return asyncio.run(self._measure(messages, bare, signals))
        finally:
            self._clean_up(signals)

    def _check(self) -> None:
        """Check before the work that it can start.

        Raises:
            UserError: a service is not installed, or Kafka cannot be reached.
        """
        choose_services(self._installation.options)
        if self._bootstrap is not None:
            asyncio.run(list_topics(self._installation.kafka.client(), self._installation.topics))

    def _clean_up(self, signals: StopSignals) -> None:
        """Stop everything, delete the topics on an existing Kafka. A first signal takes effect only afterwards.

        Raises:
            Interrupted: a first signal arrived meanwhile.
        """
        received: list[bool] = []
        signals.on_first(lambda: received.append(True))
        self._installation.stop()
        if self._bootstrap is not None and "kafka and redis" in self._installation.phases:
            self._delete_topics()
        signals.on_first(None)
        if received:
            raise Interrupted

    async def _measure(self, messages: BenchMessages, bare: BareRun, signals: StopSignals) -> Measurements:
        """Measure; the first signal cancels it."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()

        def cancel() -> None:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        signals.on_first(cancel)
        installation, plan = self._installation, self._plan
        meter = meter_of(installation)
        began, others_s = time.monotonic(), meter.others_s()
        async with Bench(installation, plan.task, messages, self._on_count) as bench:
            self._print("A backlog, as fast as possible …")
            backlog = await bench.measure_backlog(bare.texts, meter)
            self._print(f"  {backlog.texts_per_s:,.0f} texts/s")
            self._print(f"{len(plan.rates)} rates, {plan.seconds:g} s each …")
            rates = []
            for rate in plan.rates:
                rates.append(await bench.measure_rate(rate, backlog.texts_per_s, plan.seconds))
                self._print(_line(rates[-1]))
            others = (meter.others_s() - others_s) / (time.monotonic() - began)
            return Measurements(backlog, tuple(rates), meter.memory(), max(0.0, others))

    def _delete_topics(self) -> None:
        try:
            asyncio.run(delete_topics(self._installation.kafka.client(), self._installation.topics))
        except (UserError, KafkaError, OSError, TimeoutError) as error:
            prefix = self._installation.topics.prefix
            self._print(f"the topics {prefix}.* could not be deleted ({type(error).__name__}): please delete them")

    def _print_notice(self, notice: Notice) -> None:
        self._print(f"{notice.service}: {notice.text}")

    def _kill_all(self) -> None:
        if self._bare is not None:
            self._bare.kill()
        self._installation.kill_all()


def service_variables(plan: BenchPlan) -> Mapping[str, str]:
    """Return the variables that name the artefact, for the service and for the bare model."""
    if plan.artefact is None:
        return {}
    return {f"{section_prefix(program_of(plan.task))}ARTEFACT": str(plan.artefact.absolute())}


def bare_variables(plan: BenchPlan, folder: Path) -> Mapping[str, str]:
    """Return the variables of the bare model: those of the service, and the file of its task."""
    if plan.task_file is None:
        return service_variables(plan)
    named = {"SPRAT_TASKS": str(folder / TASKS_FOLDER), f"{section_prefix(CLASSIFY)}TASK": plan.task}
    return {**named, **service_variables(plan)}


def write_task_file(plan: BenchPlan, folder: Path) -> TaskFiles:
    """Write the file of the task as it is, but that every answer is kept; return the files to run with."""
    if plan.task_file is None:
        return TaskFiles()
    said = plan.task_file.model_dump(mode="json", exclude_defaults=True) | {"keep_at": 0, "uncalibrated": "keep"}
    said = {name: value for name, value in said.items() if name not in {"keep_at_by_language", "models"}}
    said |= {"out_of_scope": "keep"}
    tasks = folder / TASKS_FOLDER
    tasks.mkdir(exist_ok=True)
    (tasks / f"{plan.task}.yaml").write_text(json.dumps(said), "utf-8")  # JSON is YAML
    return load_task_files(tasks)


def bench_options(
    plan: BenchPlan, folder: Path, *, bootstrap: str | None = None, prefix: str = DEFAULT_PREFIX
) -> Options:
    """Return the options of the measured installation: the task's service and the router, with topics of a new prefix.

    Args:
        plan: what is measured.
        folder: for the policy file.
        bootstrap: an existing Kafka; None: an embedded one.
        prefix: beginning of the topics' prefix.
    """
    policy = folder / "policy.yaml"
    policy.write_text(POLICY, "utf-8")
    return Options(
        bootstrap=bootstrap,
        prefix=f"{prefix}-{token_hex(4)}",
        policy=policy,
        task_files=write_task_file(plan, folder),
        services=(_ROUTER, plan.task),
        service_environment={plan.task: service_variables(plan)},
        environment={"SPRAT_LOG_LEVEL": "warning"},
        restart=False,  # the death of a process ends the run: its figures would be useless
    )


def meter_of(installation: Installation) -> ProcessMeter:
    """Return a meter of all processes of a running installation."""
    pids = {name: process.pid for name, process in installation.processes.items()}
    pids |= {name: server.pid for name, server in installation.servers.items()}
    return ProcessMeter({name: pid for name, pid in pids.items() if pid is not None})


async def delete_topics(client: Mapping[str, Any], topics: Topics) -> None:
    """Delete the existing topics of this prefix. Kafka removes the groups that read them by itself.

    Raises:
        KafkaError: the broker refuses or is unreachable.
        TimeoutError: it takes too long.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        async with asyncio.timeout(_DELETE_TIMEOUT_S):
            await admin.start()
            described = await admin.describe_topics([topic.name for topic in topics.table()])
            existing = [each["topic"] for each in described if not each["error_code"]]
            response = await admin.delete_topics(existing) if existing else None
            for _name, code in response.topic_error_codes if response is not None else ():
                if code:
                    raise for_code(code)
    finally:
        await close_in_time(admin.close)


def _line(rate: RateResult) -> str:
    """Describe the result of a rate in one line."""
    share, per_s, _, p50, _, p99, _, remark = rate_row(rate)
    return f"  {share:>5} {per_s:>7}/s  p50 {p50}, p99 {p99}  {remark}".rstrip()
