"""Are the guardian's false alarms as rare as promised, and after how many reviews does a real one come?

    python -m tests.bench.guard --data DIR [--only PART] [--save] [--json FILE]      (or SPRAT_DATA=DIR)

`make bench-guard` saves the figures and fills docs/benchmarks. Exits 1 where false alarms are not shown to be as rare
as promised.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench import guard_simulation, guard_tables
from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import read, save
from tests.bench.guard_shifts import shifts
from tests.bench.guard_simulation import too_often
from tests.bench.guard_streams import measured
from tests.bench.table import Figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print and save the figures."""
    parser = parser_of(__doc__)
    parser.add_argument("--save", action="store_true", help="save the figures and fill the page")
    parser.add_argument("--only", choices=PARTS, help="measure this alone; the other figures stay")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    for part in (options.only,) if options.only else PARTS:
        figures[part] = list(MEASURES[part](options.data))
        print(TABLES[part](figures), flush=True)
    write_json(options.json, figures)
    if options.save:
        save("guard", read("guard") | figures)
    lines = too_often(figures.get("false_alarms", []))
    print("\n".join(lines) or "False alarms are as rare as promised.")
    return 1 if lines else 0


def _streams(data: Path) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for each in measured(shifts(data, Path(folder))):
            print(each, flush=True)
            yield each


MEASURES: Final[Mapping[str, Callable[[Path], Iterable[dict[str, Any]]]]] = {
    "false_alarms": lambda _: guard_simulation.false_alarms(),
    "until_alarm": lambda _: guard_simulation.until_alarm(),
    "streams": _streams,
}
TABLES: Final[Mapping[str, Callable[[Figures], str]]] = {
    "false_alarms": guard_tables.false_alarms,
    "until_alarm": guard_tables.until_alarm,
    "streams": guard_tables.streams,
}
PARTS: Final = tuple(MEASURES)


if __name__ == "__main__":
    sys.exit(main())
