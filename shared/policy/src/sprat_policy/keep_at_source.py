"""What stands behind a `keep_at` in a policy or the file of a task: the comment that `sprat assess --write` writes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sprat_policy.yaml_document import Document, Location, UnreadableYamlError, read_yaml

_COMMENT: Final = "# sprat assess: "
_END_OF_VALUE: Final = re.compile(
    rf"(?P<value>[^\s#{{}},]+)[ \t]*({re.escape(_COMMENT)}(?P<source>[^\r\n]*))?(?P<end>[\r\n]*)"
)
"""A value at the end of its line, with no comment but one of these."""
_SOURCE: Final = re.compile(
    r"version (?P<version>[^\s,]+)(, --accuracy (?P<accuracy>[01](\.\d+)?)(?P<of_all> of all answers)?)?"
    r"(, --tenant (?P<tenant>[^\s,]+))?(, (?P<but>.+))?"
)


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


def with_source(text: str, location: Location, source: KeepAtSource | None) -> str:
    """Return the text with a comment on where the value at `location` comes from; as it is where another stands there.

    An earlier comment of this kind, which is that of the value before, is replaced or removed.
    """
    lines = text.splitlines(keepends=True)
    try:
        place = read_yaml(text).values[location]
    except (UnreadableYamlError, KeyError):  # the check of the whole file says so
        return text
    line = lines[place.line - 1]
    found = _END_OF_VALUE.fullmatch(line, place.column - 1)
    if found is not None:
        comment = "" if source is None else f"  {_COMMENT}{found['value']} for {source}"
        lines[place.line - 1] = f"{line[: place.column - 1]}{found['value']}{comment}{found['end']}"
    return "".join(lines)


def sources_in(text: str, document: Document, section: Location) -> Mapping[str | None, KeepAtSource]:
    """Return what stands behind each `keep_at` of a task, by the model; None: that of the task itself.

    Args:
        text: of the file.
        document: of the same text.
        section: where the task stands in it.
    """
    lines = text.splitlines()
    sources: dict[str | None, KeepAtSource] = {}
    for location, place in document.values.items():
        match location[len(section) :] if location[: len(section)] == section else ():
            case ("keep_at",):
                model = None
            case ("models", name, "keep_at"):
                model = str(name)
            case _:
                continue
        found = _END_OF_VALUE.fullmatch(lines[place.line - 1], place.column - 1)
        if found is None or found["source"] is None:
            continue
        number, _, written = found["source"].partition(" for ")
        source = KeepAtSource.read(written)
        if source is not None and number == found["value"]:  # else somebody changed the number
            sources[model] = source
    return sources
