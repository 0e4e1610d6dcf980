"""What went through an installation, as one line of a table: for `sprat up` and for `sprat top`."""

from rich.console import RenderableType
from rich.table import Table

from sprat_operations.traffic import TrafficFigures


def plain_line(figures: TrafficFigures) -> str:
    """Give the figures in one line."""
    if not figures.reachable:
        return "Kafka does not answer"
    return (
        f"texts {figures.texts}  kept {figures.kept}  escalated {figures.escalated}  degraded {figures.degraded}  "
        f"unanswered {figures.unanswered}  lag {sum(figures.lag.values())}  cost {figures.cost_eur:.4f} EUR"
    )


def totals(figures: TrafficFigures) -> RenderableType:
    """Give the figures as a table of one row."""
    table = plain_table()
    for name in ("texts", "texts/s", "results", "kept", "escalated", "degraded", "unanswered", "cost"):
        table.add_column(name, justify="right", header_style="dim", min_width=len(name))
    table.add_row(
        f"{figures.texts:,}",
        f"{figures.texts_per_s:,.0f}" if figures.reachable else "-",
        f"{figures.results:,}",
        _share(figures.kept, figures.results),
        _share(figures.escalated, figures.results),
        f"{figures.degraded:,}",
        f"{figures.unanswered:,}",
        f"€{figures.cost_eur:.4f}",
    )
    return table


def plain_table() -> Table:
    """Make a table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.0f} %)" if whole else str(part)
