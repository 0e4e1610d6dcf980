"""Rows whose right answer is known, and for what they are measured."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_contracts.thresholds import nearest_levels

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

_LANGUAGE: Final = re.compile("[a-z]{2,8}")
_ARRAYS: Final = ("confidence", "right", "says_none", "weight", "real", "outside", "certifies", "group")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a model says of some texts: one entry per row in each array."""

    confidence: Doubles
    """The published one."""
    right: Flags
    says_none: Flags
    """The answer is "no intent", no name, the empty set."""
    languages: tuple[str, ...]
    """That the model read the text in, without region; empty where it is not known."""
    weight: Doubles
    """1 of real rows; of stand-ins, what they weigh in the traffic."""
    real: Flags
    """A row, not a stand-in by a hidden label."""
    outside: Flags
    """A text outside every label."""
    certifies: Flags
    """Real, and neither trained, calibrated nor chose this very model; no correction, escalated or picked row, and no
    cross-fitted score."""
    group: Integers
    """Near doubles share a number."""

    def __post_init__(self) -> None:
        if {len(getattr(self, name)) for name in _ARRAYS} != {len(self.languages)}:
            raise ValueError("rows need one entry in each array")

    @classmethod
    def of(
        cls,
        confidence: Any,
        right: Any,
        *,
        says_none: Any = None,
        languages: Sequence[str] | str | None = None,
        weight: Any = None,
        real: Any = None,
        outside: Any = None,
        certifies: Any = None,
        group: Any = None,
    ) -> Self:
        """Return rows. What is not given: each says something, is real and inside, certifies nothing, is no double.

        Args:
            confidence: and all others are of one length.
            right: whether each answer is right.
            says_none: whether it names nothing.
            languages: BCP 47, one for each row or one for all.
            weight: default 1.
            real: default True.
            outside: default False.
            certifies: default False: who measures must state it.
            group: default a number of its own for each.
        """
        count = len(confidence)
        of_all = (languages or "",) * count if languages is None or isinstance(languages, str) else languages
        return cls(
            confidence=np.asarray(confidence, np.float64),
            right=np.asarray(right, np.bool_),
            says_none=_flags(says_none, count, default=False),
            languages=tuple(map({tag: _language(tag) for tag in set(of_all)}.__getitem__, of_all)),
            weight=np.ones(count) if weight is None else np.asarray(weight, np.float64),
            real=_flags(real, count, default=True),
            outside=_flags(outside, count, default=False),
            certifies=_flags(certifies, count, default=False),
            group=np.arange(count) if group is None else np.asarray(group, np.int64),
        )

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts; those of different parts are no doubles of each other."""
        groups, used = [], 0
        for part in parts:
            groups.append(part.group + used)
            used = max(used, int(groups[-1].max(initial=-1)) + 1)
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS if name != "group"}
        languages = tuple(language for part in parts for language in part.languages)
        return cls(**arrays, languages=languages, group=np.concatenate(groups))

    def __len__(self) -> int:
        return len(self.languages)

    def where(self, chosen: Flags | Integers) -> Self:
        """Return some rows: by a flag for each, or by their numbers."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        arrays = {name: getattr(self, name)[places] for name in _ARRAYS}
        return type(self)(**arrays, languages=tuple(map(self.languages.__getitem__, places.tolist())))


@dataclass(frozen=True, slots=True)
class NameRows:
    """What a model says of the names of some texts, beside what it says of the texts; it estimates alone."""

    entities: Mapping[str, Rows]
    """Type → its entities, each with its probability, right with its span and type; those of one text are a group."""
    nothing_missed: Rows
    """Of the answers with names: the chance that no further one is missed, and whether none is."""

    def __iter__(self) -> Iterator[tuple[str, Rows]]:
        """Yield all rows with a name for them; that of nothing missed is empty."""
        yield "", self.nothing_missed
        yield from sorted(self.entities.items())


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the rows are to certify: stated before their labels are read."""

    goals: tuple[float, ...]
    drawn: Literal["traffic", "file", "reviews"]
    """A random share of what services got; another file; or a random share of what was kept, as reviewers found it."""
    no_outside_texts: bool = False
    """The owner states that no text of the traffic is outside every label."""
    also_chose: bool = False
    """The rows also chose between two models."""
    can_be_outside: bool = True
    """A text can be outside every label. False of names and translations, which need no such rows."""
    drawn_since: int | None = None
    """Of reviews: none was drawn before, epoch milliseconds."""

    def __post_init__(self) -> None:
        for goal in self.goals:
            if nearest_levels(goal) != (goal,):
                raise ValueError(f"{goal} is no goal; the nearest are {nearest_levels(goal)}")


def _language(tag: str) -> str:
    """Return the language of a tag; empty where it names none."""
    language = primary_subtag(tag)
    return language if _LANGUAGE.fullmatch(language) and language != "und" else ""


def _flags(given: Any, count: int, *, default: bool) -> Flags:
    return np.full(count, default) if given is None else np.asarray(given, np.bool_)
