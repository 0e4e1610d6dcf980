"""Run the simulator: `python -m sprat_simulator`. It ends at once on SIGTERM and SIGINT, even with calls in flight."""

import logging
import socket
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from sprat_simulator.app import build
from sprat_simulator.gold import load_gold
from sprat_simulator.settings import SimulatorSettings

_HELP = """python -m sprat_simulator: a simulated large model, on http://127.0.0.1:8089/v1, until Ctrl-C.

It has no options. Its settings are variables of the environment: SPRAT_SIMULATOR_PORT, SPRAT_SIMULATOR_GOLD, …;
docs/configuration.md describes them, under "Simulator"."""

log = logging.getLogger("sprat_simulator")


class _Server(uvicorn.Server):
    """Stops without waiting for requests: those that hang on purpose would block the stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.force_exit = True


def main() -> int:
    """Serve until a signal, or print where the settings are described; return 2 where a setting is wrong."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(_HELP)  # noqa: T201 - for the user
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = SimulatorSettings()
        gold = load_gold(settings.gold) if settings.gold else {}
        listener = socket.create_server((settings.host, settings.port))
    except ValidationError as error:
        problems = [f"SPRAT_SIMULATOR_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()]
    except (OSError, ValueError) as error:
        problems = [str(error)]
    else:
        log.info("simulated model at http://%s:%s/v1", *listener.getsockname()[:2])
        config = uvicorn.Config(build(settings, gold), log_level="warning", access_log=False, lifespan="off")
        _Server(config).run(sockets=[listener])
        return 0
    log.error("%s", "\n".join(problems))
    return 2


if __name__ == "__main__":
    sys.exit(main())
