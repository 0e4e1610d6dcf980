"""Entry point of `sprat` and of `python -m sprat_cli`: handle Ctrl-C first, then import the command line."""

import os

from sprat_cli.process import INTERRUPTED, exit_on_interrupt, ignore_interrupt_at_exit


def main() -> None:
    """Run the command line and exit."""
    exit_on_interrupt()
    ignore_interrupt_at_exit()
    from sprat_cli.main import main as run  # noqa: PLC0415 - slow to import

    try:
        run()
    except KeyboardInterrupt:  # between the end of a command and the next line
        os._exit(INTERRUPTED)
    finally:
        exit_on_interrupt()


if __name__ == "__main__":
    main()
