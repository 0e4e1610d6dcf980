"""Run the generalist service: settings → model → HTTP. On SIGTERM and SIGINT it answers what it has, for a while."""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import version

import uvicorn

from sprat.base.errors import UserError
from sprat.base.settings import asked_for_help, load_settings
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.process import watch_process
from sprat.telemetry.providers import configure_telemetry
from sprat_generalist.app import Generalist
from sprat_generalist.settings import GeneralistSection, GeneralistSettings
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.generator import GENERATOR_READER, Generator
from sprat_inference.instruction_set import instruction_set

log = logging.getLogger(__name__)

NAME = "generalist"
_DRAIN_S = 20
"""How long a stop waits for answers."""


class _QuietServer(uvicorn.Server):
    """Stops at a signal, and does not raise it again at the end: what was measured is still sent."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def load_generator(section: GeneralistSection) -> Generator:
    """Load the model that the settings name, and try it.

    Raises:
        UserError: the artefact cannot be used; the message names the setting.
    """
    try:
        card = load_artefact(section.artefact, reader=GENERATOR_READER).card
        model = Generator.load(section.artefact, card, threads=section.threads, memory=section.memory_mb << 20)
        model.probe()
    except (BrokenArtefact, ModelError) as error:
        raise UserError(f"SPRAT_GENERALIST__ARTEFACT: {error}") from None
    log.info("model loaded, threads: %d, instruction set: %s", section.threads, instruction_set())
    return model


def main() -> int:
    """Serve until a signal; return 2 where a setting is wrong."""
    if asked_for_help("sprat_generalist"):
        return 0
    try:
        settings = load_settings(GeneralistSettings)
        section = settings.generalist
        configure_logs(NAME, settings.log_level, settings.log_format, section.model)
        telemetry = configure_telemetry(NAME, version("sprat-generalist"), section.model)
        watch_process()
        model = load_generator(section)
        listener = _listener(section)
    except UserError as error:
        print(f"sprat-{NAME}: {error}", file=sys.stderr)  # noqa: T201 - for the user, also before there are logs
        return 2
    gc.freeze()
    generalist = Generalist(model, section, telemetry.page)
    log.info("ready, at http://%s:%s/v1", *listener.getsockname()[:2])
    config = uvicorn.Config(
        generalist.app(),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_DRAIN_S,
        limit_concurrency=section.max_waiting + 64,
    )
    _QuietServer(config).run(sockets=[listener])
    generalist.close()
    telemetry.shutdown()
    log.info("stopped")
    return 0


def _listener(section: GeneralistSection) -> socket.socket:
    try:
        return socket.create_server((section.host, section.port))
    except OSError as error:
        raise UserError(
            f"SPRAT_GENERALIST__PORT: {section.port} on {section.host} cannot be taken ({error.strerror}); name "
            "another, or 0 for any"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
