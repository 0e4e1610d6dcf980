"""Does a certificate hold? Rows are drawn again and again, and what is certified is compared with the truth.

    python -m tests.bench.guarantee --data DIR [--draws NUMBER] [--save]      (or SPRAT_DATA=DIR)

`make bench-guarantee` saves the figures, fills docs/benchmarks and draws the picture. Exits 1 where a certificate
does not hold, and where the comparison cannot tell: the scan over all thresholds must fail at a flat risk.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np

from sprat_contracts.thresholds import LEAST_THRESHOLD, NONE, SOME
from sprat_training.thresholds import Purpose, Rows, estimate, walks_of
from sprat_training.thresholds.certified import certify_cells, places, rows_that_certify
from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import save
from tests.bench.guarantee_populations import (
    At,
    Population,
    banking77,
    bitext,
    clinc150,
    flat,
    names,
    steep,
)

PICTURE: Final = Path(__file__).resolve().parents[2] / "docs/images/guarantee.png"
DRAWS: Final = 2_000
ALLOWED: Final = 0.05
"""Of the drawings: so often may a certificate be wrong."""
MUST_FAIL: Final = "flat, 1.05 of the allowed error, 1,000 rows"
"""The row in which the scan over all thresholds must be found out."""

Claims = Sequence[At]
"""Each is claimed to be as often right as the goal says; together they are what is kept."""
Method = Callable[[Rows, float], Claims]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    population: Population
    goal: float
    rows: int
    """That are drawn each time."""

    @property
    def title(self) -> str:
        """Return the name of the row."""
        return f"{self.name}, {self.rows:,} rows"


@dataclass(slots=True)
class Tally:
    """What came of the drawings so far."""

    violated: int = 0
    """Drawings in which a claim is not so."""
    kept: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    """Of those that keep something."""

    def add(self, claims: Claims, case: Case) -> None:
        """Count one more."""
        at = case.population.at
        together = at({says: threshold for each in claims for says, threshold in each.items()})
        self.violated += any(at(each).right < case.goal - 1e-12 for each in claims)
        self.kept.append(together.kept)
        self.right += [together.right] if together.kept else []

    def figures(self, draws: int) -> dict[str, Any]:
        """Return the shares of the drawings, with the exact 95 % interval of the violations."""
        from scipy.stats import binomtest  # noqa: PLC0415 - a second, which every worker of pytest would take

        interval = binomtest(self.violated, draws).proportion_ci(0.95)
        return {
            "claimed": len(self.right) / draws,
            "violated": self.violated / draws,
            "violated_low": round(float(interval.low), 5),
            "violated_high": round(float(interval.high), 5),
            "kept": round(float(np.mean(self.kept)), 5),
            "right": round(float(np.mean(self.right)), 5) if self.right else None,
        }


def certificate(rows: Rows, goal: float) -> Claims:
    """Certify both cells as a first measurement does."""
    certifying = rows_that_certify(rows)
    found = certify_cells(certifying, walks_of(certifying, _purpose(rows, goal)))
    return [{says: steps[goal].threshold} for says, steps in found.items() if steps]


def estimated(rows: Rows, goal: float) -> Claims:
    """Estimate both cells: what is claimed holds on average alone."""
    found: dict[str, float | None] = {}
    for says in (SOME, NONE):
        cell = rows.where(rows.says_none == (says == NONE))
        steps = estimate(cell.confidence, cell.right, cell.weight)
        found[says] = next((each.threshold for each in steps if each.accuracy == goal), None)
    return [found]


def wilson_scan(rows: Rows, goal: float) -> Claims:
    """Take the least of all thresholds at which the lower end of Wilson's one-sided 95 % interval reaches the goal."""
    claims: list[At] = []
    for says in (SOME, NONE):
        cell = rows.where(rows.says_none == (says == NONE))
        possible = np.unique(cell.confidence[cell.confidence >= LEAST_THRESHOLD])
        kept, right = _counts(cell, possible)
        shown = possible[wilson_low(right, kept) >= goal]
        claims += [{says: float(shown[0])}] if len(shown) > 0 else []
    return claims


def split_conformal(rows: Rows, goal: float) -> Claims:
    """Keep where the prediction set of "right, wrong" is "right" alone: of *all* texts 1 - goal are kept and wrong."""
    scores = np.sort(np.where(rows.right, 1 - rows.confidence, rows.confidence))
    rank = int(np.ceil((len(scores) + 1) * goal))
    if rank > len(scores):
        return []
    limit = scores[rank - 1]
    return [dict.fromkeys((SOME, NONE), float(max(np.nextafter(limit, 2), 1 - limit)))]


def second_opinion(rows: Rows, goal: float) -> Claims:
    """Let mapie test the thresholds of our walks, in their order and at their parts of the 5 %."""
    # mapie imports all of scikit-learn, which the tests of the other methods do without.
    from mapie.risk_control.fwer_control import control_fwer  # noqa: PLC0415
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value  # noqa: PLC0415

    certifying = rows_that_certify(rows)
    claims: list[At] = []
    for walk in walks_of(certifying, _purpose(rows, goal)):
        cell = certifying.where(certifying.says_none == (walk.says == NONE))
        confidence = np.sort(cell.confidence)[::-1]
        steps = places(confidence, walk.needed) if walk.spend else np.zeros(0, np.int64)
        if steps.size:
            kept, right = _counts(cell, confidence[steps - 1])
            chances = compute_hoeffding_bentkus_p_value(1 - right / kept, kept, 1 - goal, binary=True)[:, 0]
            passed = control_fwer(chances, walk.spend, "fixed_sequence")
            claims += [{walk.says: float(confidence[steps[passed[-1]] - 1])}] if passed.size else []
    return claims


METHODS: Final[Mapping[str, Method]] = {
    "certified": certificate,
    "estimated": estimated,
    "wilson_scan": wilson_scan,
    "split_conformal": split_conformal,
    "mapie": second_opinion,
}


def cases(data: Path) -> list[Case]:
    """Return all rows of the table; models are trained and read where needed."""
    found = [
        Case("flat, 0.7 of the allowed error", flat(0.7 * 0.03), 0.97, 1000),
        Case("flat, 1.05 of the allowed error", flat(1.05 * 0.03), 0.97, 1000),
        Case("steep", steep(0.3), 0.97, 1000),
    ]
    for name, read, goal in (
        ("CLINC150", clinc150, 0.97),
        ("BANKING77, 8 labels hidden", banking77, 0.97),
        ("bitext", bitext, 0.97),
        ("names", names, 0.95),
    ):
        started = time.monotonic()
        population = read(data)
        print(f"{name}: {len(population.rows):,} texts, {time.monotonic() - started:.0f} s", flush=True)
        found += [Case(name, population, goal, rows) for rows in (500, 2000)]
    return found


def judged(case: Case, draws: int, methods: Mapping[str, Method] = METHODS) -> dict[str, Any]:
    """Draw rows again and again, and return how often each method claims what is not so."""
    random = np.random.default_rng(36)
    oracle = case.population.at(case.population.oracle(case.goal))
    tallies = {name: Tally() for name in methods}
    for _ in range(draws):
        rows = case.population.draw(random, case.rows)
        for name, method in methods.items():
            tallies[name].add(method(rows, case.goal), case)
    about = {"goal": case.goal, "rows": case.rows, "draws": draws, "oracle_kept": oracle.kept}
    return about | {name: each.figures(draws) for name, each in tallies.items()}


def holds(figures: Mapping[str, Any]) -> bool:
    """Return whether the violations are at most 5 of 100 drawings, as far as so many drawings can tell."""
    return bool(figures["violated_low"] <= ALLOWED)


def missed(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one line for each row in which the certificate does not hold, and one if the comparison is blind."""
    lines = [
        f"{name}: {each['certified']['violated']:.1%} of the certificates are wrong"
        for name, each in figures.items()
        if not holds(each["certified"])
    ]
    if holds(figures[MUST_FAIL]["wilson_scan"]):
        lines.append(f"{MUST_FAIL}: the scan over all thresholds passes, so this comparison shows nothing")
    return lines


def wilson_low(right: Any, count: Any) -> Any:
    """Return the lower ends of Wilson's one-sided 95 % intervals; of counts above 0."""
    square, share = 1.644854**2, right / count
    half = np.sqrt(square * (share * (1 - share) / count + square / (4 * count**2)))
    return (share + square / (2 * count) - half) / (1 + square / count)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--save", action="store_true", help="fill docs/benchmarks and draw the picture")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {}
    for case in cases(options.data):
        started = time.monotonic()
        each = figures[case.title] = judged(case, options.draws)
        print(f"{case.title}, {time.monotonic() - started:.0f} s; who knows the truth keeps {each['oracle_kept']:.1%}")
        for name in METHODS:
            one = each[name]
            print(
                f"  {name:18}wrong {one['violated']:6.1%} ({one['violated_low']:.1%} to {one['violated_high']:.1%})"
                f"  claims {one['claimed']:6.1%}  kept {one['kept']:6.1%}  right {one['right'] or 0:7.2%}",
                flush=True,
            )
    write_json(options.json, figures)
    if options.save:
        save("guarantee", figures)
        from tests.bench.guarantee_picture import draw  # noqa: PLC0415 - likewise

        draw(figures, PICTURE)
    lines = missed(figures)
    print("\n".join(lines) or "Every certificate holds, and the scan over all thresholds is found out.")
    return 1 if lines else 0


def _purpose(rows: Rows, goal: float) -> Purpose:
    return Purpose((goal,), "file", no_outside_texts=not rows.outside.any())


def _counts(rows: Rows, thresholds: Any) -> tuple[Any, Any]:
    """Return of each threshold how many rows are kept, and how many of these are right."""
    order = np.argsort(-rows.confidence, kind="stable")
    kept = np.searchsorted(-rows.confidence[order], -thresholds, side="right")
    return kept, np.concatenate([[0], np.cumsum(rows.right[order])])[kept]


if __name__ == "__main__":
    sys.exit(main())
