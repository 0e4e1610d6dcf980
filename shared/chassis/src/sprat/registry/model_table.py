"""Who serves what: the state that the compacted topic of announcements adds up to."""

from dataclasses import dataclass

from sprat_contracts import ModelAnnounced


@dataclass(frozen=True, slots=True)
class AnnouncedLabels:
    """The labels that a model can answer with."""

    labels: tuple[str, ...] | None
    """None for an open task."""
    label_set: str | None
    """Hash of the labels."""


class ModelTable:
    """The latest announcement of every `task/model`. Not thread-safe; one event loop owns it."""

    def __init__(self) -> None:
        self._announced: dict[str, ModelAnnounced] = {}

    def apply(self, key: bytes | None, announced: ModelAnnounced | None) -> bool:
        """Apply a record of the models topic, in the topic's order; a tombstone (`None`) retires the model.

        Returns:
            False for an announcement that is ignored because its key is not its own `task/model`: compaction and
            retirement use the key, so it could never be withdrawn.
        """
        name = (key or b"").decode("utf-8", "replace")
        if announced is None:
            self._announced.pop(name, None)
            return True
        if name != model_key(announced.task, announced.model).decode():
            return False
        self._announced[name] = announced
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
        announced = self._announced.get(f"{task}/{model}")
        return AnnouncedLabels(announced.labels, announced.label_set) if announced else None

    def announced(self) -> tuple[ModelAnnounced, ...]:
        """Return all announcements, ordered by task and model."""
        return tuple(self._announced[name] for name in sorted(self._announced))


def model_key(task: str, model: str) -> bytes:
    """Return the record key under which a model is announced and retired."""
    return f"{task}/{model}".encode()
