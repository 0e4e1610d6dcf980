"""A soak: texts for many minutes, and a fault every 15 to 30 s. `make soak SEED=1 TEXTS=300000 MINUTES=50`.

An installation with router, intent, language-id and frontier takes the texts of a librdkafka driver, which writes down
what is acknowledged. Then a checker that knows the contract alone says what is missing, double or leaked. Exit code 1
on a fault of Sprat's.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tests.soak.checker import SoakReport
from tests.soak.run import soak
from tests.soak.slopes import LEAST_TEXTS

BROKERS: Final = 3


def print_report(report: SoakReport) -> None:
    """Say what is wrong, with the ids and places of the first examples."""
    figures = ", ".join(f"{name} {value}" for name, value in report.figures.items())
    print(f"checked: {figures}")
    for slope in report.slopes if report.figures["texts"] >= LEAST_TEXTS else ():
        print(f"  in 100,000 texts: {slope['process'] or 'all'} {slope['what']} {slope['per_100k']:+,.0f}")
    for each in report.not_checked:
        print(f"  not checked: {each}")
    for kind, found in report.findings.items():
        print(f"FAULT: {kind}: {found['count']}")
        for example in found["examples"]:
            print(f"    {example}")
    print("no fault was found" if report.ok else f"{len(report.findings)} kinds of faults")


def main() -> int:
    """Run a soak, then its checker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=3_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--no-faults", action="store_true", help="none: for what memory and disk do over many texts")
    parser.add_argument("--brokers", type=int, default=BROKERS)
    parser.add_argument("--folder", type=Path, help="an empty one, which stays; else a new one, which stays on a fault")
    options = parser.parse_args()
    folder = options.folder or Path(mkdtemp(prefix="sprat-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        print(f"{folder} is not empty: name another folder", file=sys.stderr)
        return 2
    faulty = not options.no_faults
    report = soak(options.seed, options.texts, options.minutes, folder, brokers=options.brokers, faulty=faulty)
    print_report(report)
    if report.ok and options.folder is None:
        shutil.rmtree(folder)
    else:
        print(f"everything about this run is in {folder}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
