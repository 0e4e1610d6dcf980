"""`python -m sprat_local`: fetch and prepare what embedded brokers start from, so that later starts need no network."""

import sys

from sprat.errors import UserError
from sprat_local.kafka.fast_start import installation


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Prepare; 0 when all is there, 2 with a reason when it is not."""
    try:
        installation(_say)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
