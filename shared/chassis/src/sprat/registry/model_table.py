"""Who serves what: the state that the compacted topic of announcements adds up to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sprat.registry.retirement import Ends
from sprat_contracts import ModelAnnounced
from sprat_contracts.languages import primary_subtag
from sprat_contracts.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class AnnouncedLabels:
    """The labels that a model can answer with, and what its announcement says about keeping its answers."""

    labels: tuple[str, ...] | None
    """None for an open task."""
    label_set: str | None
    """Hash of the labels."""
    version: str
    """Of the model."""
    calibrated: bool = True
    """Whether its confidences are chances."""
    keep_at_outside: float = 0.0
    """The least confidence, by its card, to keep an answer that no label fits."""
    keep_at: float | None = None
    """The least confidence, by its card, to keep an answer; None where the card says none."""
    keep_at_by_language: Mapping[str, float] = field(default_factory=dict)
    """What its card says instead for a language, without region."""
    recommended_goal: float | None = None
    """Of its thresholds; None where it was announced without."""
    thresholds: Thresholds | None = None
    """As they are announced."""
    label_names: frozenset[str] | None = field(init=False, repr=False)
    """The labels, to look up those of each answer."""

    def __post_init__(self) -> None:
        """Index the labels."""
        object.__setattr__(self, "label_names", None if self.labels is None else frozenset(self.labels))

    @classmethod
    def of(cls, announced: ModelAnnounced) -> "AnnouncedLabels":
        """Return what an announcement says."""
        thresholds = announced.thresholds
        return cls(
            announced.labels,
            announced.label_set,
            announced.version,
            announced.is_calibrated,
            announced.keep_at_outside,
            announced.keep_at,
            announced.keep_at_by_language,
            None if thresholds is None else thresholds.recommended_goal,
            thresholds,
        )

    def keep_at_of(self, language: str) -> float | None:
        """Return the least confidence, by its card, to keep an answer to a text in a language, BCP 47."""
        return self.keep_at_by_language.get(primary_subtag(language), self.keep_at)


class ModelTable:
    """The latest announcement of every `task/model`. Not thread-safe; one event loop owns it."""

    def __init__(self) -> None:
        self._announced: dict[str, ModelAnnounced] = {}
        self._labels: dict[str, AnnouncedLabels] = {}
        self._withdrawn: dict[str, Ends | None] = {}

    def apply(self, key: bytes | None, announced: ModelAnnounced | None, until: Ends | None = None) -> bool:
        """Apply a record of the models topic, in the topic's order; a tombstone (`None`) retires the model.

        `until` is that of the model's `Retirement` after this record.

        Returns:
            False for an announcement that is ignored because its key is not its own `task/model`: compaction and
            retirement use the key, so it could never be withdrawn.
        """
        name = (key or b"").decode("utf-8", "replace")
        if announced is None:
            self._announced.pop(name, None)
            self._labels.pop(name, None)
            self._withdrawn[_group(name)] = until
            return True
        if name != model_key(announced.task, announced.model).decode():
            return False
        self._announced[name] = announced
        self._labels[name] = AnnouncedLabels.of(announced)
        self._withdrawn.pop(_group(name), None)
        return True

    def served(self, task: str, model: str, appended_at: int) -> ModelAnnounced | None:
        """Return who answers a text appended at `appended_at` (epoch milliseconds, the broker's clock); None: nobody.

        A model owns the texts appended at or after its `owns_from`. Whether it serves the language and the target is
        for the model's own service to decide.
        """
        announced = self._announced.get(f"{task}/{model}")
        if announced is None or announced.owns_from is None or announced.owns_from > appended_at:
            return None
        return announced

    def labels(self, task: str, model: str) -> AnnouncedLabels | None:
        """Return the announced labels, even where the model does not own the text; None: it is not announced."""
        return self._labels.get(f"{task}/{model}")

    def announced(self) -> tuple[ModelAnnounced, ...]:
        """Return all announcements, ordered by task and model."""
        return tuple(self._announced[name] for name in sorted(self._announced))

    def groups(self) -> tuple[str, ...]:
        """Return the consumer groups of all announced models, without the prefix."""
        return tuple(map(_group, sorted(self._announced)))

    def withdrawn(self) -> dict[str, Ends | None]:
        """Return the groups of the withdrawn models whose tombstone is known, without the prefix.

        Each has the offsets before which texts are its own, by partition; None: not known.
        """
        return dict(self._withdrawn)


def _group(name: str) -> str:
    return name.replace("/", ".", 1)


def model_key(task: str, model: str) -> bytes:
    """Return the record key under which a model is announced and retired."""
    return f"{task}/{model}".encode()


def asking_pattern(task: str) -> re.Pattern[bytes]:
    """Return what is found in every record whose text asks for the task; in 1.4 µs, where decoding takes 108 µs.

    The name of the task stands in quotes in a text that asks for it, or escaped (RFC 8259, section 7; in a string that
    holds JSON, the quote is), or in base64.
    """
    return re.compile(rb'"%s\\?"|\\u00[2-7]|"data_base64"' % re.escape(task.encode()))
