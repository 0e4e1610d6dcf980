"""A picture of a curve as SVG, drawn by hand: no library, no script, readable on light and dark ground."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

Point = tuple[float, float]

WIDTH: Final = 640
HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 48
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis."""

    name: str
    low: float = 0.0
    high: float = 1.0
    write: Callable[[float], str] = "{:.0%}".format
    """A value as it stands beside the axis."""


@dataclass(slots=True)
class Plot:
    """A picture in the making: what is added first lies below."""

    x: Scale
    y: Scale
    title: str
    """Said to those who cannot see it."""
    legend_right: bool = False
    """The legend stands at the lower right, where a rising curve leaves room; else at the upper left."""
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def line(self, points: Sequence[Point], kind: str, name: str | None = None) -> None:
        """Draw a line; `kind` is a CSS class of the page: ink, accent, faint or warm."""
        path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in points)
        self._marks.append(f'<polyline class="line {kind}" points="{path}"/>')
        self._named(kind, name)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], kind: str) -> None:
        """Fill what lies between two lines."""
        points = [*lower, *reversed(upper)]
        path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in points)
        self._marks.append(f'<polygon class="band {kind}" points="{path}"/>')

    def dot(self, at: Point, kind: str, name: str | None = None, *, radius: float = 5) -> None:
        """Draw a point."""
        self._marks.append(
            f'<circle class="dot {kind}" cx="{self._across(at[0]):.1f}" cy="{self._up(at[1]):.1f}" r="{radius:.1f}"/>'
        )
        self._named(kind, name)

    def bar(self, left: float, right: float, top: float, kind: str) -> None:
        """Draw a bar that stands on the lower axis."""
        x, y = self._across(left), self._up(top)
        self._marks.append(
            f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{max(self._across(right) - x - 1, 0.5):.1f}" '
            f'height="{max(self._up(self.y.low) - y, 0):.1f}"/>'
        )

    def upright(self, at: float, text: str) -> None:
        """Mark a place on the lower axis."""
        x = self._across(at)
        anchor, beside = ("end", -6) if at > (self.x.low + self.x.high) / 2 else ("start", 6)
        self._marks.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text class="said" x="{x + beside:.1f}" y="{HEIGHT - _BOTTOM - 8}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def svg(self) -> str:
        """Give the picture."""
        body = "".join((*self._axes(), *self._marks, *self._legends()))
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title>{body}</svg>"
        )

    def _named(self, kind: str, name: str | None) -> None:
        if name is not None:
            self._legend.append((kind, name))

    def _axes(self) -> list[str]:
        drawn = []
        for number in range(_TICKS + 1):
            value = self.x.low + (self.x.high - self.x.low) * number / _TICKS
            x = self._across(value)
            drawn.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
                f"{escape(self.x.write(value))}</text>"
            )
            value = self.y.low + (self.y.high - self.y.low) * number / _TICKS
            y = self._up(value)
            drawn.append(
                f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(self.y.write(value))}</text>"
            )
        middle = (_TOP + HEIGHT - _BOTTOM) / 2
        drawn.append(
            f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
            f'{escape(self.x.name)}</text><text class="axis" transform="translate(14 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.name)}</text>'
        )
        return drawn

    def _legends(self) -> list[str]:
        left = WIDTH - _RIGHT - 250 if self.legend_right else _LEFT + 10
        top = HEIGHT - _BOTTOM - 28 - 18 * len(self._legend) if self.legend_right else _TOP + 6
        return [
            f'<rect class="key {kind}" x="{left}" y="{top + 18 * row}" width="12" height="4"/>'
            f'<text class="said" x="{left + 18}" y="{top + 6 + 18 * row}">{escape(name)}</text>'
            for row, (kind, name) in enumerate(self._legend)
        ]

    def _across(self, x: float) -> float:
        return _LEFT + (_within(x, self.x) - self.x.low) / (self.x.high - self.x.low) * (WIDTH - _LEFT - _RIGHT)

    def _up(self, y: float) -> float:
        room = HEIGHT - _TOP - _BOTTOM
        return HEIGHT - _BOTTOM - (_within(y, self.y) - self.y.low) / (self.y.high - self.y.low) * room


def _within(value: float, scale: Scale) -> float:
    return min(max(value, scale.low), scale.high)
