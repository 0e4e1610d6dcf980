"""A decision for a terminal and as one HTML file: the same sentences and the same table."""

import sys
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sprat.base.words import counted
from sprat_cli.terminal import paint, printable, wants_colour
from sprat_contracts.thresholds import NONE, SOME, Says
from sprat_training.evaluation.decision import CellAtGoal, Decision, Goal, VersionAtGoal, step_at
from sprat_training.thresholds.wording import paragraph

_LEVELS: Final = (0.9, 0.95, 0.99)
"""That the table shows beside the goal."""
_MOST_CELLS: Final = 8
"""Cells of single languages that the terminal shows."""
_WIDTH: Final = 160
"""Of the table at most: a narrower terminal wraps it."""
_COLOURS: Final = {"better": "green", "worse": "red", "not shown": "yellow"}
_SAYS: Final = {SOME: "names something", NONE: "names nothing", None: "all answers"}
_JUDGED: Final = {
    "file": "",
    "card": "without thresholds, judged by the keep_at of the card: ",
    "rows": "judged by thresholds of these very rows, a little too good: ",
    "cross-fitted": "cross-fitted, each row judged by a model that has not seen it: ",
    "stated": "",
}


def decision_lines(decision: Decision) -> list[str]:
    """Return the lines for standard output: the most important first."""
    head, *rows = table_of(decision, _MOST_CELLS)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=_WIDTH, no_color=not wants_colour(sys.stdout), force_terminal=wants_colour(sys.stdout))
    with console.capture() as captured:
        console.print(table)
    colour = _COLOURS.get(decision.verdict or "")
    first = printable(headline(decision))
    return [
        paint(first, colour) if colour else first,
        *(line.rstrip() for line in captured.get().splitlines()),
        *map(printable, remarks(decision)),
    ]


def decision_html(decision: Decision, template: str = "decision.html.j2", **more: Any) -> str:
    """Return a decision as an HTML file without scripts or addresses.

    Args:
        decision: what it shows.
        template: that is rendered.
        more: what a template that extends the decision's shows below it.
    """
    head, *rows = table_of(decision)
    said = {"title": headline(decision), "verdict": decision.verdict, "remarks": remarks(decision)}
    return _templates().get_template(template).render(**said, head=head, rows=rows, **more)


def headline(decision: Decision) -> str:
    """Return the sentence that says what was found."""
    new, served, found = decision.new, decision.served, decision.compared
    at = _goal(decision.goal)
    if found is None or served is None:
        before = "" if served is None else f" ({served.name}: {_kept(served)})"
        return f"{new.name} at {at}: {_kept(new)}{before}"
    change = (
        f"kept and right {100 * found.difference:+.1f} points ({100 * found.low:+.1f} to {100 * found.high:+.1f}), "
        f"{found.gained:,} rows gained, {found.lost:,} lost, p {found.chance:.3f}"
    )
    said = f"{new.name} is {found.verdict} than {served.name}"
    if found.verdict == "not shown":
        said = f"not shown that {new.name} is better or worse than {served.name}"
    missed = {"served": served.name, "new": new.name}.get(found.missed or "")
    why = "" if missed is None else f"{missed} misses the goal; "
    return f"{said} at {at}: {why}{change}"


def remarks(decision: Decision) -> list[str]:
    """Return what else is said: how it was judged, what is certified, and notes."""
    versions = [each for each in (decision.served, decision.new) if each is not None]
    lines = []
    if decision.rows:
        lines.append(f"{decision.rows:,} rows of {decision.file}, {decision.outside:,} of them outside every label")
    if decision.doubted.rows:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in decision.doubted.reasons.items())
        lines.append(
            f"doubted: {counted(decision.doubted.rows, 'row')} ({reasons}); {decision.doubted.of_kept:,} of them count "
            "as kept here, but are escalated unless the policy has doubts: keep"
        )
    for judged, said in _JUDGED.items():
        names = [each.name for each in versions if each.judged == judged]
        if said and names:
            lines.append(said + " and ".join(names))
    certificate = decision.new.certificate
    before = None if decision.served is None or decision.compared is not None else decision.served.certificate
    if certificate is not None:
        goals = ", ".join(_percent(each) for each in certificate.goals)
        lines.append(
            f"certificate for {goals}: {certificate.rows:,} rows that certify, drawn from {certificate.drawn}, "
            f"attempt {certificate.attempt}" + ("" if before is None else f" (so far {before.rows:,} rows)")
        )
        best = max(decision.new.certified(says) or 0.0 for says in (SOME, NONE))
        lines.append(paragraph(certificate, best or max(certificate.goals)))
    elif before is not None:
        why = "is not renewed by these rows" if decision.rows else "is of that version alone: the other one has none"
        lines.append(f"the certificate so far, of {before.rows:,} rows, {why}")
    routed = [] if decision.routed is None else [str(decision.routed), *map(str, decision.routed.tiers)]
    return [*routed, *lines, *decision.notes]


def table_of(decision: Decision, most: int | None = None) -> list[tuple[str, ...]]:
    """Return the table, its head first.

    Args:
        decision: what it shows.
        most: cells of single languages of each version; None: all.
    """
    goal = decision.goal.accuracy
    levels = sorted({*(each for each in _LEVELS if each != goal), goal})
    head = ("", "ROWS", "KEPT", "RIGHT OF KEPT", "KEPT FROM", *map(_percent, levels), f"CERTIFIED {_percent(goal)}")
    rows = [head]
    for version in (decision.served, decision.new):
        if version is None:
            continue
        own = [each for each in version.cells if each.language is not None]
        shown = [*(each for each in version.cells if each.language is None), *own[:most]]
        rows += [_row(version, each, levels, goal) for each in shown]
        if most is not None and len(own) > most:
            rows.append((f"  … {len(own) - most} more cells", *("" for _ in head[1:])))
    return rows


def _row(version: VersionAtGoal, cell: CellAtGoal, levels: list[float], goal: float) -> tuple[str, ...]:
    name = f"{version.name} {version.version[:8]}"
    if cell.says is not None:
        name = f"  {'' if cell.language is None else cell.language + ' '}{_SAYS[cell.says]}"
    right = cell.right_of_kept
    return (
        name,
        f"{cell.rows:,.0f}",
        _percent(cell.kept_share, 1),
        "–" if right is None else _percent(right, 1),
        "" if cell.says is None else _number(cell.threshold),
        *("" if cell.says is None else _estimated(version, cell.language, cell.says, each) for each in levels),
        "" if cell.says is None or cell.language is not None else _certified(version, cell.says, goal),
    )


def _estimated(version: VersionAtGoal, language: str | None, says: Says, level: float) -> str:
    thresholds = version.thresholds
    found = None if thresholds is None else thresholds.cell(language, says) or thresholds.cell(None, says)
    step = None if found is None else step_at(found.estimated, level)
    return _number(None if step is None else step.threshold)


def _certified(version: VersionAtGoal, says: Says, goal: float) -> str:
    cell = None if version.thresholds is None else version.thresholds.cell(None, says)
    step = None if cell is None else step_at(cell.certified, goal)
    return _number(None if step is None else step.threshold)


def _kept(version: VersionAtGoal) -> str:
    if not version.all.rows:
        return "nothing measured"
    right = version.all.right_of_kept
    return f"{_percent(version.all.kept_share, 1)} kept" + (
        "" if right is None else f", {_percent(right, 1)} of it right"
    )


def _goal(goal: Goal) -> str:
    if goal.keep_at is not None:
        return f"keep_at {goal.keep_at:.2f} of the policy"
    on = ", on average" if goal.evidence == "estimated" else ""
    return f"goal {_percent(goal.accuracy)} ({goal.evidence}{on})"


def _percent(share: float, digits: int | None = None) -> str:
    return f"{100 * share:.3g} %" if digits is None else f"{100 * share:.{digits}f} %"


def _number(threshold: float | None) -> str:
    return "–" if threshold is None else f"{threshold:.2f}"


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("sprat_cli"), autoescape=True, undefined=StrictUndefined)
