"""`sprat up`: an installation under a person's eyes, from its start until Ctrl-C."""

import asyncio
import logging
import time

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from sprat.errors import SpratError, UserError
from sprat.kafka.clients import CLOSE_S
from sprat_local.console.board import Board, LiveBoard, PlainBoard
from sprat_local.console.greeting import greeting
from sprat_local.installation import Installation
from sprat_local.models.takeover import Takeover
from sprat_local.models.unserved import unserved
from sprat_local.notices import Notice
from sprat_local.options import Options
from sprat_local.signals import Interrupted, StopSignals
from sprat_operations.traffic import Traffic

_UPDATE_S = 1.0
_AT_ONCE_S = 0.01
"""Nothing was there to stop, as after a wrong option: then one line, the error's, is enough."""


class Session:
    """One run of `sprat up`."""

    def __init__(self, options: Options, console: Console) -> None:
        self._console = console
        self._board: Board = PlainBoard(console)
        self._installation = Installation(options, on_notice=self._tell, on_progress=self._progress)
        self._takeover = Takeover(self._installation, self._tell)

    def run(self) -> int:
        """Run until a signal; give the exit code.

        Raises:
            UserError: it cannot start; nothing is left running.
        """
        began = time.monotonic()
        # It logs each lost connection as an error; what matters reaches the board.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        with StopSignals(self._installation.kill_all) as signals:
            try:
                self._installation.start()
                asyncio.run(self._watch(signals, began))
            except Interrupted:
                pass
            except KafkaError as error:  # between its start and the first look at it
                raise UserError(f"Kafka at {self._installation.bootstrap} went away: {type(error).__name__}") from None
            finally:
                self._takeover.stop()
                self._board.close()
                stopping = time.monotonic()
                self._installation.stop()
                took = time.monotonic() - stopping
                if took > _AT_ONCE_S:
                    self._say(f"stopped in {took:.1f} s")
        return 0

    async def _watch(self, signals: StopSignals, began: float) -> None:
        """Greet, and show the figures until the first signal."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def leave() -> None:
            loop.call_soon_threadsafe(stop.set)

        signals.on_first(leave)
        installation = self._installation
        running = [spec for spec in installation.specs if spec.name in installation.processes]
        groups = [group for spec in running if (group := spec.group_name(installation.models.get(spec.name)))]
        async with Traffic(installation.kafka, groups) as traffic:
            self._greet(time.monotonic() - began, await self._unserved())
            if self._console.is_terminal:
                self._board = LiveBoard(self._console, installation)
            self._takeover.start()
            following = asyncio.create_task(self._follow(traffic))
            await asyncio.wait({following, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            following.cancel()  # a broker that does not answer must not hold up the end
            await asyncio.wait({following}, timeout=CLOSE_S)

    async def _follow(self, traffic: Traffic) -> None:
        while True:
            self._board.show(await traffic.look())
            await asyncio.sleep(_UPDATE_S)

    async def _unserved(self) -> tuple[str, ...]:
        try:
            return await unserved(self._installation)
        except (SpratError, KafkaError):
            return ()  # worth a word, not a failure; the board shows that Kafka does not answer

    def _greet(self, seconds: float, unserved: tuple[str, ...]) -> None:
        self._say(f"Sprat is ready after {seconds:.1f} s", style="bold")
        for line in greeting(self._installation, unserved):
            self._say(line)

    def _tell(self, event: Notice) -> None:
        self._board.tell(event)

    def _progress(self, line: str) -> None:
        self._say(line)

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)
