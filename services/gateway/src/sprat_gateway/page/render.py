"""Templates and vendored files of the page: what they are called, and how numbers and times are written in them."""

import hashlib
import json
import math
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sprat_gateway.page.queries.models import Curve

ROOT: Final = "/page"
SCREENS: Final = (
    ("Overview", "/", "o"),
    ("Live", "/live", "l"),
    ("Models", "/models", "m"),
    ("What if", "/what-if", "w"),
    ("Privacy", "/privacy", "p"),
    ("Health", "/health", "h"),
    ("To label", "/label", "r"),
    ("Try it", "/try", "t"),
)
"""Name, path and key."""
_KINDS: Final = (".css", ".js", ".svg")
_CENTS: Final = 4
"""Digits of an amount below one euro; more where they are not 0."""
_CODE: Final = re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that browsers keep for ever: its address holds a part of its hash."""

    content: bytes
    kind: str
    version: str


def static_files() -> dict[str, StaticFile]:
    """Return what the page serves, by name. Nothing else of the folder, or beside it, can be asked for."""
    folder = files(__package__).joinpath("static")
    found = {}
    for entry in folder.iterdir():
        if entry.name.endswith(_KINDS):
            content = entry.read_bytes()
            kind = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            found[entry.name] = StaticFile(content, kind, hashlib.sha256(content).hexdigest()[:12])
    return found


def environment(static: Mapping[str, StaticFile]) -> Environment:
    """Return the templates. Everything is escaped; a name that a template misspells is an error."""
    made = Environment(
        loader=PackageLoader("sprat_gateway.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "root": ROOT,
        "screens": SCREENS,
        "static": lambda name: f"{ROOT}/static/{name}?v={static[name].version}",
    }
    made.filters |= {
        "moment": moment,
        "clock": clock,
        "iso": iso,
        "duration": duration,
        "euro": euro,
        "share": share,
        "share_up": share_up,
        "level": level,
        "size": size,
        "whole": whole,
        "counts": counts,
        "pretty": pretty,
        "steps": steps,
        "with_code": with_code,
    }
    return made


def moment(epoch_ms: int) -> str:
    """Return day and time, to the second, UTC."""
    return _utc(epoch_ms).strftime("%Y-%m-%d %H:%M:%S")


def clock(epoch_ms: int) -> str:
    """Return the time to the millisecond, UTC."""
    return _utc(epoch_ms).strftime("%H:%M:%S.") + f"{epoch_ms % 1000:03d}"


def iso(epoch_ms: int) -> str:
    """Return a time for machines."""
    return _utc(epoch_ms).isoformat(timespec="milliseconds")


def duration(milliseconds: float | None) -> str:
    """Return how long something took in the unit that a reader expects; None: a dash."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def euro(amount: float | None) -> str:
    """Return an amount to the cent, a small one as exactly as it says something; None: a dash."""
    if amount is None:
        return "–"
    sign, amount = "-" if amount < 0 else "", abs(amount)
    if amount == 0 or amount >= 1:
        return f"{sign}€{amount:,.2f}"
    whole, _, digits = f"{amount:.6f}".partition(".")
    return f"{sign}€{whole}.{digits[:_CENTS]}{digits[_CENTS:].rstrip('0')}"


def share(value: float | None) -> str:
    """Return a probability or a share in per cent, rounded down: less than all is never shown as 100 %."""
    return "–" if value is None else f"{int(round(value * 1000, 6)) / 10:.1f} %"


def share_up(value: float | None) -> str:
    """Return a share of errors in per cent, rounded up: a bound is never shown lower than it is."""
    return "–" if value is None else f"{math.ceil(round(value * 1000, 6)) / 10:.1f} %"


def level(value: float | None) -> str:
    """Return a goal or a level as the policy writes it."""
    return "–" if value is None else f"{value:g}"


def size(count: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def whole(count: int | None) -> str:
    """Return a count with separators; None: a dash."""
    return "–" if count is None else f"{count:,}"


def counts(found: Mapping[str, Any]) -> str:
    """Return `2 PERSON, 1 IBAN`; a dash for none."""
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(found.items())) or "–"


def pretty(output: Mapping[str, Any]) -> str:
    """Return an output as JSON that a person reads."""
    return json.dumps(output, ensure_ascii=False, indent=2)


def with_code(words: str) -> Markup:
    """Return words in which what stands in back quotes is code; all else is escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words))))  # noqa: S704 - escaped before


def steps(curve: Curve) -> list[tuple[float, float | None, float | None]]:
    """Return confidence, estimated and certified accuracy of a curve, ascending: both lines on one axis."""
    estimated = {point.confidence: point.accuracy for point in curve.estimated}
    certified = {point.confidence: point.accuracy for point in curve.certified}
    return [(each, estimated.get(each), certified.get(each)) for each in sorted(estimated.keys() | certified.keys())]


def _utc(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
