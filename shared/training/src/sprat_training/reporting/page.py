"""One HTML file: headings, sentences, tables, pictures. Whatever comes from a person's file is escaped here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

# Nothing may be loaded or run, even if a text were to get past the escaping.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE: Final = """
:root{--ground:#fff;--ink:#22313f;--accent:#1f77b4;--faint:#aab7c0;--warm:#d1495b}
@media(prefers-color-scheme:dark){:root{--ground:#161b20;--ink:#dfe6ec;--accent:#6cb6e8;--faint:#5d6b76;--warm:#f0808f}}
body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}h1,h2{line-height:1.2}h2{margin-top:2.5rem}table{border-collapse:collapse;margin:1rem 0}
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--faint);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}figure{margin:1rem 0}figcaption{font-size:.9rem}
svg{width:100%;max-width:44rem;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}
svg text.axis{font-size:13px}.grid{stroke:var(--faint);stroke-width:.5}.mark{stroke:var(--ink);stroke-dasharray:4 3}
.line{fill:none;stroke-width:2}.line.ink{stroke:var(--ink)}.line.accent{stroke:var(--accent)}
.line.faint{stroke:var(--faint);stroke-dasharray:6 4}.line.warm{stroke:var(--warm)}.band{opacity:.2}
.band.accent,.bar.accent,.dot.accent,.key.accent{fill:var(--accent)}.dot.ink,.key.ink{fill:var(--ink)}
.bar.faint,.key.faint,.dot.faint{fill:var(--faint)}.dot.warm,.key.warm{fill:var(--warm)}code{font-size:.95em}
"""


def escaped(text: str) -> str:
    """Give a text as HTML shows it."""
    return escape(text)


@dataclass(slots=True)
class Page:
    """A page in the making."""

    title: str
    _parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def listed(self, texts: Sequence[str]) -> None:
        """Add a list."""
        self._parts.append("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")

    def command(self, text: str) -> None:
        """Add what is to be typed."""
        self._parts.append(f"<pre><code>{escape(text)}</code></pre>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
        """Add a table; `numbers` are the places of the columns that hold numbers."""
        kinds = [' class="n"' if place in numbers else "" for place in range(len(head))]
        top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
        body = "".join(
            "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
            for row in rows
        )
        self._parts.append(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>")

    def picture(self, svg: str, caption: str) -> None:
        """Add a picture that :class:`sprat.reporting.plot.Plot` has drawn."""
        self._parts.append(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>")

    def html(self) -> str:
        """Give the whole file."""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self.title)}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<style>{_STYLE}</style></head>\n<body><h1>{escape(self.title)}</h1>\n"
            + "\n".join(self._parts)
            + "\n</body></html>\n"
        )
