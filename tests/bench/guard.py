"""Are the guardian's false alarms as rare as promised, and after how many reviews does a real one come?

    python -m tests.bench.guard [--save] [--json FILE]

`make bench-guard` saves the figures and fills docs/benchmarks. Exits 1 where false alarms are not shown to be as rare
as promised.
"""

import sys
from collections.abc import Sequence

from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import save
from tests.bench.guard_simulation import false_alarms, too_often, until_alarm
from tests.bench.guard_tables import false_alarms as false_alarms_table
from tests.bench.guard_tables import until_alarm as until_alarm_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, and print and save the figures."""
    parser = parser_of(__doc__)
    parser.add_argument("--save", action="store_true", help="save the figures and fill the page")
    options = parser.parse_args(arguments)
    figures = {"false_alarms": false_alarms(), "until_alarm": until_alarm()}
    print(false_alarms_table(figures), until_alarm_table(figures), sep="\n\n", flush=True)
    write_json(options.json, figures)
    if options.save:
        save("guard", figures)
    lines = too_often(figures["false_alarms"])
    print("\n".join(lines) or "False alarms are as rare as promised.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
