"""Prometheus' rules with all times divided by one factor, so that a test can wait for them.

Windows, offsets, `for:`, and the settings in seconds become shorter; counts per window become smaller. The expressions
stay the same otherwise.
"""

import re
import shutil
from pathlib import Path

FACTOR = 20
"""An hour is three minutes, a minute three seconds."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?P<before>\[|offset |for: )(?P<number>\d+)(?P<unit>[smhd])\b")
_CONSTANTS = (
    # The window of one minute, with which the first value of a counter is made a rate.
    (re.compile(r"(\[1m\]\) / )(60)\b"), float),
    # A transaction that has been open for so many seconds hangs.
    (re.compile(r"(_held_seconds\) > )(30)\b"), float),
    # A checkpoint that is overdue by so many seconds.
    (re.compile(r"(_overdue_seconds\) > )(60)\b"), float),
    # Settings: seconds, and texts in an hour.
    (re.compile(r"(setting:(?:late|behind|provider)_seconds\s+expr: vector\()(\d+)\b"), float),
    (re.compile(r"(setting:judged_texts\s+expr: vector\()(\d+)\b"), float),
)


def faster(text: str) -> str:
    """Return the rules of one file with their times divided."""
    for pattern, number in _CONSTANTS:
        text = pattern.sub(lambda found, number=number: f"{found[1]}{number(found[2]) / FACTOR:g}", text)
    return _DURATION.sub(_shorter, text)


def write_faster_rules(configuration: Path, folder: Path) -> Path:
    """Copy a configuration folder, with faster rules, into another folder; return it."""
    for part in ("alerts", "prometheus/rules"):
        (folder / part).mkdir(parents=True)
        for path in sorted((configuration / part).glob("*.yml")):
            (folder / part / path.name).write_text(faster(path.read_text("utf-8")), "utf-8")
    for part in ("alertmanager", "collector", "runbooks"):
        shutil.copytree(configuration / part, folder / part)
    return folder


def _shorter(found: re.Match[str]) -> str:
    milliseconds = int(found["number"]) * _SECONDS[found["unit"]] * 1000 / FACTOR
    return f"{found['before']}{milliseconds:.0f}ms"
