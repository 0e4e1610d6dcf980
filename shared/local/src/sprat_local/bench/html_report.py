"""Reports as one HTML file: headings, sentences, tables and charts, without scripts or addresses.

The charts are SVG written by hand: a plotting library would be a large dependency for one kind of chart, and its SVG
would neither follow the page's light and dark colours nor be readable as text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

Point = tuple[float, float]

WIDTH: Final = 640
HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 48
_TICKS: Final = 5

# Nothing is loaded or run, even if a text were to get past the escaping.
_CONTENT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE: Final = """
:root{color-scheme:light dark;--ground:#fff;--ink:#22313f;--accent:#1f77b4;--faint:#aab7c0;--warm:#d1495b}
@media(prefers-color-scheme:dark){:root{--ground:#161b20;--ink:#dfe6ec;--accent:#6cb6e8;--faint:#5d6b76;--warm:#f0808f}}
body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}h1,h2{line-height:1.2}h2{margin-top:2.5rem}table{border-collapse:collapse;margin:1rem 0}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--faint);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}figure{margin:1rem 0}figcaption{font-size:.9rem}
svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}
svg text.axis{font-size:13px}.grid{stroke:var(--faint);stroke-width:.5}.mark{stroke:var(--ink);stroke-dasharray:4 3}
.line{fill:none;stroke-width:2}.line.ink{stroke:var(--ink)}.line.accent{stroke:var(--accent)}
.line.faint{stroke:var(--faint);stroke-dasharray:6 4}.line.warm{stroke:var(--warm)}
.dot.accent,.key.accent{fill:var(--accent)}.dot.ink,.key.ink{fill:var(--ink)}.key.faint,.dot.faint{fill:var(--faint)}.dot.warm,.key.warm{fill:var(--warm)}td{overflow-wrap:break-word}
td.n{white-space:nowrap}
"""


@dataclass(slots=True)
class HtmlPage:
    """A page under construction. Everything that comes from a user's file is escaped here."""

    title: str
    _parts: list[str] = field(default_factory=list)

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def add_paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def add_list(self, texts: Sequence[str]) -> None:
        """Add a list."""
        self._parts.append("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")

    def add_table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
        """Add a table; `numbers` are the indexes of the columns that hold numbers."""
        kinds = [' class="n"' if index in numbers else "" for index in range(len(head))]
        top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
        body = "".join(
            "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
            for row in rows
        )
        self._parts.append(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")

    def add_picture(self, svg: str, caption: str) -> None:
        """Add a chart, as :meth:`Plot.svg` returns it."""
        self._parts.append(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>")

    def html(self) -> str:
        """Return the whole file."""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_CONTENT_POLICY}">\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<style>{_STYLE}</style></head>\n<body><h1>{escape(self.title)}</h1>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis of a chart."""

    name: str
    low: float = 0.0
    high: float = 1.0
    format_tick: Callable[[float], str] = "{:.0%}".format


@dataclass(slots=True)
class Plot:
    """A chart under construction: what is added first is drawn below the rest.

    `kind` is a CSS class of the page: ink, accent, faint or warm.
    """

    x: Scale
    y: Scale
    title: str
    """Alternative text."""
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def add_line(self, points: Sequence[Point], kind: str, name: str | None = None) -> None:
        """Draw a line through the points."""
        path = " ".join(f"{self._x_of(x):.1f},{self._y_of(y):.1f}" for x, y in points)
        self._marks.append(f'<polyline class="line {kind}" points="{path}"/>')
        self._add_to_legend(kind, name)

    def add_dot(self, at: Point, kind: str, name: str | None = None, *, radius: float = 5) -> None:
        """Draw a point."""
        self._marks.append(
            f'<circle class="dot {kind}" cx="{self._x_of(at[0]):.1f}" cy="{self._y_of(at[1]):.1f}" r="{radius:.1f}"/>'
        )
        self._add_to_legend(kind, name)

    def add_marker(self, at: float, text: str) -> None:
        """Draw a labelled vertical line at a value of the lower axis."""
        x = self._x_of(at)
        anchor, shift = ("end", -6) if at > (self.x.low + self.x.high) / 2 else ("start", 6)
        self._marks.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text class="said" x="{x + shift:.1f}" y="{HEIGHT - _BOTTOM - 8}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def svg(self) -> str:
        """Return the SVG element."""
        body = "".join((*self._axes(), *self._marks, *self._legend_items()))
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title>{body}</svg>"
        )

    def _add_to_legend(self, kind: str, name: str | None) -> None:
        if name is not None:
            self._legend.append((kind, name))

    def _axes(self) -> list[str]:
        parts = []
        for number in range(_TICKS + 1):
            value = self.x.low + (self.x.high - self.x.low) * number / _TICKS
            x = self._x_of(value)
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
                f"{escape(self.x.format_tick(value))}</text>"
            )
            value = self.y.low + (self.y.high - self.y.low) * number / _TICKS
            y = self._y_of(value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(self.y.format_tick(value))}</text>"
            )
        middle = (_TOP + HEIGHT - _BOTTOM) / 2
        parts.append(
            f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
            f'{escape(self.x.name)}</text><text class="axis" transform="translate(14 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.name)}</text>'
        )
        return parts

    def _legend_items(self) -> list[str]:
        left, top = _LEFT + 10, _TOP + 6
        return [
            f'<rect class="key {kind}" x="{left}" y="{top + 18 * row}" width="12" height="4"/>'
            f'<text class="said" x="{left + 18}" y="{top + 6 + 18 * row}">{escape(name)}</text>'
            for row, (kind, name) in enumerate(self._legend)
        ]

    def _x_of(self, x: float) -> float:
        return _LEFT + (_clamped(x, self.x) - self.x.low) / (self.x.high - self.x.low) * (WIDTH - _LEFT - _RIGHT)

    def _y_of(self, y: float) -> float:
        height = HEIGHT - _TOP - _BOTTOM
        return HEIGHT - _BOTTOM - (_clamped(y, self.y) - self.y.low) / (self.y.high - self.y.low) * height


def _clamped(value: float, scale: Scale) -> float:
    return min(max(value, scale.low), scale.high)
