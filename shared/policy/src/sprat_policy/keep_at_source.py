"""What stands behind a `keep_at` in a policy or the file of a task: the comment that `sprat assess --write` writes.

As `keep_at: 0.91  # sprat assess: 0.91 for version V2, --accuracy 0.97; before: 0.94 for version V1, provisional`. It
repeats the number, so that one which somebody changed does not count as found. What stood there for another version is
kept, one of them: it holds again once that version is served again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from math import nan
from typing import Final, Self

from sprat_policy.yaml_document import Document, Location, UnreadableYamlError, read_yaml

_COMMENT: Final = "# sprat assess: "
_END_OF_VALUE: Final = re.compile(
    r"(?P<value>[^\s#{},]+)(?P<rest>(,[^#{}\r\n]*)?[ \t}]*?)[ \t]*"
    rf"({re.escape(_COMMENT)}(?P<source>[^\r\n]*))?(?P<end>[\r\n]*)"
)
"""A value at the end of its line, or of a section in braces there, with no comment but one of these."""
_SOURCE: Final = re.compile(
    r"version (?P<version>[^\s,]+)(, --accuracy (?P<accuracy>[01](\.\d+)?)(?P<of_all> of all answers)?)?"
    r"(, --tenant (?P<tenant>[^\s,]+))?(, (?P<but>.+))?"
)
_BEFORE: Final = "; before: "
_NUMBER: Final = re.compile(r"[01](\.\d+)?")


@dataclass(frozen=True, slots=True)
class KeepAtSource:
    """Where a `keep_at` comes from that `sprat assess --write` wrote."""

    version: str
    """On the card of the model that was assessed."""
    accuracy: float | None = None
    """The share right that was asked for; None: none was."""
    but: str = ""
    """Why that share is not shown, or where the number comes from; empty where it is shown."""
    of_all: bool = False
    """Whether that share is of all answers, those of a large model among them; else of those kept."""
    tenant: str | None = None
    """Whose rules held, where the user named one."""

    def __str__(self) -> str:
        asked = [] if self.accuracy is None else [f"--accuracy {self.accuracy:g}{' of all answers' * self.of_all}"]
        whose = [] if self.tenant is None else [f"--tenant {self.tenant}"]
        return ", ".join([f"version {self.version}", *asked, *whose, *filter(None, [self.but])])

    @property
    def asked(self) -> str:
        """Return what was asked for and what is to be known of it, without the version."""
        return str(self).partition(", ")[2]

    @property
    def options(self) -> str:
        """Return the options of `sprat assess` that ask for the same, without those about a frontier's answers."""
        asked = [] if self.accuracy is None else [f"--accuracy {self.accuracy:g}"]
        return " ".join([*asked, *([] if self.tenant is None else [f"--tenant {self.tenant}"])])

    @classmethod
    def read(cls, written: str) -> Self | None:
        """Return what a comment says; None where it is not one of these."""
        found = _SOURCE.fullmatch(written.rstrip())
        if found is None:
            return None
        accuracy = found["accuracy"]
        share = None if accuracy is None else float(accuracy)
        return cls(found["version"], share, found["but"] or "", found["of_all"] is not None, found["tenant"])

    def shows(self, version: str) -> bool:
        """Return whether the number was shown for this version: with 95 % confidence, on texts that were new to it."""
        return self.version == version and self.accuracy is not None and not self.but


@dataclass(frozen=True, slots=True)
class NotedKeepAt:
    """A `keep_at` in such a comment, and where it comes from."""

    number: str
    """As it is written."""
    source: KeepAtSource

    def __str__(self) -> str:
        return f"{self.number} for {self.source}"

    @property
    def value(self) -> float:
        """Return the number."""
        return float(self.number)


@dataclass(frozen=True, slots=True)
class KeepAtComment:
    """What the comment behind a `keep_at` says."""

    source: KeepAtSource | None = None
    """Where the number comes from that stands there; None where somebody changed it since."""
    earlier: tuple[NotedKeepAt, ...] = ()
    """Those that stood there before."""

    def source_of(self, value: float, version: str) -> KeepAtSource | None:
        """Return where the number that stands there comes from; as found for a version, where it was before, too.

        Args:
            value: of the number.
            version: that is asked about.
        """
        before = self.found_for(version)
        return before.source if before is not None and f"{before.value:.2f}" == f"{value:.2f}" else self.source

    def found_for(self, version: str) -> NotedKeepAt | None:
        """Return what stood there before for a version; None where nothing did."""
        return next((each for each in self.earlier if each.source.version == version), None)


def with_source(text: str, location: Location, source: KeepAtSource | None) -> str:
    """Return the text with a comment on where the value at `location` comes from; as it is where another stands there.

    An earlier comment of this kind is replaced or removed; the new one says what that found for another version.
    """
    lines = text.splitlines(keepends=True)
    try:
        place = read_yaml(text).values[location]
    except (UnreadableYamlError, KeyError):  # the check of the whole file says so
        return text
    line = lines[place.line - 1]
    found = _END_OF_VALUE.fullmatch(line, place.column - 1)
    if found is not None:
        comment = "" if source is None else f"  {_COMMENT}{_noted(found, source)}"
        lines[place.line - 1] = f"{line[: place.column - 1]}{found['value']}{found['rest']}{comment}{found['end']}"
    return "".join(lines)


def _noted(value: re.Match[str], source: KeepAtSource) -> str:
    """Return what a comment says: where a value comes from, and the one before it that was another version's."""
    others = (each for each in _found_in(value["source"] or "") if each.source.version != source.version)
    return _BEFORE.join(map(str, [NotedKeepAt(f"{_as_number(value['value']):.2f}", source), *islice(others, 1)]))


def _as_number(written: str) -> float:
    """Return a number of a file, which may stand in quotation marks; not a number where it is none."""
    try:
        return float(written.strip("\"'"))
    except ValueError:
        return nan


def _found_in(comment: str) -> tuple[NotedKeepAt, ...]:
    """Return each `keep_at` of a comment, the latest first; what cannot be read is left out."""
    found = []
    for part in comment.split(_BEFORE):
        number, _, written = part.partition(" for ")
        source = KeepAtSource.read(written)
        if source is not None and _NUMBER.fullmatch(number):
            found.append(NotedKeepAt(number, source))
    return tuple(found)


def comments_in(text: str, document: Document, section: Location) -> Mapping[str | None, KeepAtComment]:
    """Return the comment behind each `keep_at` of a task, by the model; None: that of the task itself.

    Args:
        text: of the file.
        document: of the same text.
        section: where the task stands in it.
    """
    lines = text.splitlines()
    comments: dict[str | None, KeepAtComment] = {}
    for location, place in document.values.items():
        match location[len(section) :] if location[: len(section)] == section else ():
            case ("keep_at",):
                model = None
            case ("models", name, "keep_at"):
                model = str(name)
            case _:
                continue
        value = _END_OF_VALUE.fullmatch(lines[place.line - 1], place.column - 1)
        if value is None or value["source"] is None:
            continue
        found = _found_in(value["source"])
        holds = bool(found) and found[0].value == _as_number(value["value"])  # else somebody changed the number
        comments[model] = KeepAtComment(found[0].source, found[1:]) if holds else KeepAtComment(None, found)
    return comments
