"""`python -m sprat_local`: fetch and prepare the files of the embedded broker, so that later starts need no network."""

import sys

from sprat.base.errors import UserError
from sprat_local.kafka.prepare import prepare


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Prepare the files. Return 0, or 2 after printing the reason."""
    try:
        prepare(_print)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
