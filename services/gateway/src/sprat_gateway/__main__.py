"""The door: settings → Kafka → HTTP. `python -m sprat_gateway`."""

import sys
from importlib.metadata import version

from sprat.base.errors import UserError
from sprat.base.settings import asked_for_help, load_settings
from sprat_gateway.runtime import run
from sprat_gateway.settings import GatewaySettings


def main() -> int:
    """Serve until a signal; return the exit code."""
    if asked_for_help("sprat_gateway"):
        return 0
    try:
        settings = load_settings(GatewaySettings)
    except UserError as error:
        print(f"sprat-gateway: {error}", file=sys.stderr)  # noqa: T201 - for the user, before there are logs
        return 2
    return run(settings, version("sprat-gateway"))


if __name__ == "__main__":
    raise SystemExit(main())
