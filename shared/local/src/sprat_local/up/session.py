"""`sprat up`: run an installation and show it, until Ctrl-C."""

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from sprat.base.errors import SpratError, UserError
from sprat.base.model import display_name
from sprat.base.settings import default_language, environment
from sprat.kafka.clients import CLOSE_S
from sprat_cli.board import SERVICE_COLUMNS, Board, board_table
from sprat_cli.traffic import traffic_line, traffic_table
from sprat_contracts import ModelAnnounced
from sprat_contracts.languages import AUTO, is_auto, is_served, primary_subtag
from sprat_contracts.topics import DEFAULT_PREFIX
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import announced_models
from sprat_local.installation.models import is_served as serves
from sprat_local.installation.options import POLICY, Options, without_password
from sprat_local.installation.rollout import ModelRollout
from sprat_local.installation.servers import PASSWORD_FILE
from sprat_local.observe.programs import HOW_TO_GET
from sprat_local.observe.stack import Observers
from sprat_local.processes.background import in_background
from sprat_local.processes.notices import Notice
from sprat_local.processes.ports import HOST
from sprat_local.processes.signals import Interrupted, StopSignals
from sprat_local.up.answers import AnswerNotices, BrokerWatch, RedisWatch
from sprat_local.up.front_door import front_door
from sprat_local.up.rows import rows_of
from sprat_operations import local_run
from sprat_operations.goals import kept_answers
from sprat_operations.installation import USUAL_KAFKA
from sprat_operations.local_run import SIMULATED
from sprat_operations.services import GATEWAY
from sprat_operations.traffic import GroupPace, Traffic, TrafficFigures
from sprat_policy import Policy, load_policy

_UPDATE_S = 1.0
_LEVEL_COLOURS = {"info": "cyan", "warning": "yellow", "error": "red"}
_SHORT_STOP_S = 0.01
"""After a shorter stop nothing had run, as after a wrong option: then the line of the error is enough."""
_NAMED = "SPRAT_KAFKA__BOOTSTRAP"
_DEMO_POLICY = (
    "the demo's: a text without a tenant may go, masked, to a model on this machine alone; yours: --policy FILE or "
    "SPRAT_POLICY"
)
_TEXT = "please move 100 euros to my savings"
_EXAMPLE = f'sprat send "{_TEXT}"'
_NO_TENANT = "default"
"""The tenant of texts that name none."""
_LANGUAGE = "en"
"""Of the example."""
_OWN_EXAMPLE = 'sprat send "…"'
"""Of a model of the user's own: what its texts are like, the user knows."""


class UpSession:
    """One run of `sprat up`."""

    def __init__(self, options: Options, console: Console) -> None:
        self._console = console
        self._board = Board(console)
        self._installation = Installation(
            options, on_notice=self._show_notice, on_progress=self._print, on_phase=self._show_phase
        )
        self._rollout = ModelRollout(self._installation, self._show_notice)

    def run(self) -> int:
        """Run until a signal; return the exit code.

        Raises:
            UserError: it cannot start; nothing is left running.
        """
        began = time.monotonic()
        # aiokafka logs each lost connection as an error; the board shows what matters.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        with StopSignals(self._installation.kill_all) as signals:
            try:
                with self._board:
                    self._start()
                    asyncio.run(self._watch(signals, began))
            except Interrupted:
                pass
            except KafkaError as error:  # between the start and the first measurement
                kafka = self._installation.bootstrap
                raise UserError(f"Kafka at {kafka} became unreachable: {type(error).__name__}") from None
            finally:
                self._rollout.stop()
                stop_began = time.monotonic()
                self._installation.stop()
                stop_s = time.monotonic() - stop_began
                if stop_s > _SHORT_STOP_S:
                    self._print(f"stopped in {stop_s:.1f} s")
        return 0

    def _start(self) -> None:
        """Start the installation; on a terminal, show what is ready already, and for how long it has been starting."""
        began, started = time.monotonic(), threading.Event()

        def show() -> None:
            while self._console.is_terminal and not started.wait(_UPDATE_S / 4):
                self._show(TrafficFigures(), f"starting, {time.monotonic() - began:.0f} s")

        showing = threading.Thread(target=show, daemon=True)
        showing.start()
        try:
            self._installation.start()
        finally:
            started.set()
            showing.join()
            self._board.show("")

    async def _watch(self, signals: StopSignals, began: float) -> None:
        """Print the greeting and show the figures until the first signal."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def request_stop() -> None:
            loop.call_soon_threadsafe(stop.set)

        signals.on_first(request_stop)
        installation = self._installation
        running = [spec for spec in installation.specs if spec.name in installation.processes]
        groups = [group for spec in running if (group := spec.group_name(installation.models.get(spec.name)))]
        async with Traffic(installation.kafka, groups) as traffic:
            announced = await self._announced_models()
            self._print(f"Sprat is ready after {time.monotonic() - began:.1f} s", style="bold")
            for line in greeting(installation, announced):
                self._print(line)
            opening = asyncio.create_task(self._open_door())
            self._rollout.start()
            updating = asyncio.create_task(self._update(traffic))
            await asyncio.wait({updating, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
            if updating.done():
                updating.result()
            opening.cancel()
            updating.cancel()  # a broker that does not answer must not delay the stop
            await asyncio.wait({updating}, timeout=CLOSE_S)

    async def _open_door(self) -> None:
        """Start the gateway, and print how it is used once it answers: everything else is ready without it."""
        installation = self._installation
        try:
            await asyncio.wrap_future(in_background(installation.start_afterwards, "sprat-start-gateway"))
            for line in front_door(installation, _TEXT, None if not _in_english() else _LANGUAGE):
                self._print(line)
        except UserError as error:
            self._show_notice(Notice(GATEWAY, "error", f"it does not serve: {error}"))

    async def _update(self, traffic: Traffic) -> None:
        redis = RedisWatch(self._installation.redis_url, self._show_notice)
        kafka = AnswerNotices("kafka", "the services try it again, and go on once it answers", self._show_notice)
        brokers = BrokerWatch(self._installation.broker_nodes, self._show_notice)
        try:
            while True:
                figures, redis_answers, silent = await traffic.look(), await redis.look(), await brokers.look()
                kafka.tell(answers=figures.reachable)
                answers = {"kafka": figures.reachable, "redis": redis_answers}
                silent += [server for server, does in answers.items() if not does]
                self._show(figures, groups=traffic.groups, silent=silent)
                await asyncio.sleep(_UPDATE_S)
        finally:
            await redis.close()

    async def _announced_models(self) -> tuple[ModelAnnounced, ...]:
        try:
            return await announced_models(self._installation)
        except (SpratError, KafkaError):
            return ()  # not worth failing; the board shows that Kafka does not answer

    def _show(
        self, figures: TrafficFigures, note: str = "", groups: Sequence[GroupPace] = (), silent: Collection[str] = ()
    ) -> None:
        """Show the board; without a terminal, the traffic. That Kafka does not answer, a notice says."""
        has_traffic = figures.reachable and figures.results + figures.texts
        rows = rows_of(self._installation, figures, groups, silent)
        table = board_table(rows, SERVICE_COLUMNS, self._board.width)
        above = Text(note, style="dim") if note else traffic_table(figures)
        self._board.show(traffic_line(figures) if has_traffic else "", above, Text(), table)

    def _show_notice(self, notice: Notice) -> None:
        line = Text(f"{notice.service}: ", style=f"bold {_LEVEL_COLOURS[notice.level]}")
        self._board.print(line.append(notice.text, style="default"))

    def _show_phase(self, phase: str, seconds: float) -> None:
        self._print(f"  {phase} ready after {seconds:.1f} s")

    def _print(self, line: str, style: str = "") -> None:
        self._board.print(Text(line, style=style))


def greeting(installation: Installation, announced: Sequence[ModelAnnounced] = ()) -> Iterator[str]:
    """Return what `sprat up` prints when everything runs.

    Args:
        installation: it runs.
        announced: models; it says what is kept of their answers.
    """
    frontier = installation.options.frontier
    yield f"  Kafka     {installation.bootstrap}"
    if elsewhere := _elsewhere(installation):
        yield f"            commands in this folder look for it at {elsewhere}: write into .env, or export,"
        yield f"            {_NAMED}={installation.bootstrap}"
    password = "" if installation.options.redis else f"  (password in {installation.folder / PASSWORD_FILE})"
    yield f"  Redis     {without_password(installation.redis_url)}{password}"
    policy = installation.options.policy
    yield f"  policy    {_DEMO_POLICY if policy == POLICY else policy}"
    rules = _policy(installation.options)
    if rules is not None:
        yield f"  tenants   {_tenants(rules)}"
    tiers = () if rules is None else rules.tiers
    asked = not tiers or any(tier.base_url is None for tier in tiers)
    shown = frontier if frontier == SIMULATED else without_password(frontier)
    yield f"  frontier  {shown if asked else 'not asked: none of the tiers of the policy is the frontier'}"
    if tiers:
        yield f"  tiers     {', '.join(tier.label for tier in tiers)}, in this order"
    if files := installation.options.task_files:
        yield f"  tasks     {', '.join(files)}, from {files.folder}"
    yield f"  logs      {installation.logs}"
    if installation.observers is not None:
        yield from observers(installation.observers)
    for model in installation.options.models:
        yield f"  model     {model} {model.version} from {model.folder}"
    if rules is not None:
        yield from _kept(rules, [each for each in announced if serves(installation, each)])
    for name in (f"{each.task}/{each.model}" for each in announced if not serves(installation, each)):
        yield f"  unserved  {name} is announced: texts that ask for it wait until it is served (--model {name}=DIR);"
        yield f"            after sprat models retire {name} new ones are escalated"
    for name in installation.missing:
        yield f"  not installed: {name}"
    yield f"  try       {example(installation)}"
    yield "  Ctrl-C stops everything\n"


def _tenants(policy: Policy) -> str:
    """Return the tenants that a policy names, and what holds for the others."""
    others = "any other: nothing leaves" if policy.section("") is None else 'any other: by the entry "*"'
    return "; ".join(filter(None, (", ".join(policy.named_tenants), others)))


def _kept(policy: Policy, served: Iterable[ModelAnnounced]) -> Iterator[str]:
    """Return what is kept of the answers of each model, where a goal or a `keep_at` decides."""
    for each in served:
        rules = policy.task(each.task) if each.task in policy.task_names else None
        if rules is not None and rules.has_levels:
            yield f"  keeps     {each.task}/{each.model}: {kept_answers(rules.rule(each.model, ''), each).words}"


def _policy(options: Options) -> Policy | None:
    try:
        return load_policy(options.policy, options.task_files.table).with_added(options.task_files)
    except UserError:  # the services that read it have said so
        return None


def observers(found: Observers) -> Iterator[str]:
    """Return where the programs are that observe an installation, and which are not installed."""
    for program in found.addresses.pages:
        what = found.addresses.url(program, program.page) + ("" if program.page else "  takes OTLP over HTTP")
        yield f"  observe   {program.name:16}  {what}"
    if found.missing:
        yield f"  not installed: {', '.join(found.missing)}; {HOW_TO_GET}"


def example(installation: Installation) -> str:
    """Return a command that this installation answers, with the options that it needs."""
    model, prefix = installation.models["intent"], installation.options.prefix
    parts = _of_own_model(installation.options) or [_EXAMPLE, "--task", display_name("intent", model), *_in_english()]
    if _elsewhere(installation):
        parts += ["--bootstrap", installation.bootstrap]
    if prefix != DEFAULT_PREFIX:
        parts += ["--prefix", prefix]
    return " ".join(parts)


def _of_own_model(options: Options) -> list[str]:
    """Return how a text asks for the first intent model of the user's own: with its language, and a tenant's name."""
    model = next((each for each in options.models if each.task == "intent"), None)
    if model is None:
        return []
    parts = [_OWN_EXAMPLE, "--task", display_name(model.task, model.name)]
    try:
        languages = load_artefact(model.folder).card.languages
        policy = load_policy(options.policy, options.task_files.table)
    except (UserError, BrokenArtefact):  # the services that read them have said so
        return parts
    default = default_language()
    if languages and not is_auto(default) and not is_served(default, languages):
        parts += ["--language", languages[0]]
    if policy.section(_NO_TENANT) is None and policy.named_tenants:
        parts += ["--tenant", policy.named_tenants[0]]
    return parts


def _in_english() -> list[str]:
    """Return how the example says its language; nothing where texts that name none are English, or detected."""
    return [] if primary_subtag(default_language()) in {_LANGUAGE, AUTO} else ["--language", _LANGUAGE]


def _elsewhere(installation: Installation) -> str:
    """Return where commands that are told nothing look for Kafka, also several places; empty where it is this one."""
    named = environment().get(_NAMED)
    if named:
        return "" if installation.bootstrap == named.replace("localhost:", f"{HOST}:", 1) else named
    if installation.bootstrap == USUAL_KAFKA:
        return ""
    others = [run.bootstrap for run in local_run.for_commands() if run.bootstrap != installation.bootstrap]
    return " and ".join(others)
