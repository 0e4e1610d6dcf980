"""`ModelAnnounced`: which model serves which texts. The topic is compacted; a tombstone retires a model."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from sprat_contracts.base import EpochMs, Message, TaskName
from sprat_contracts.languages import LanguageTag
from sprat_contracts.texts import ModelName
from sprat_contracts.thresholds import Thresholds

NOT_FITTED: Final = "nothing"
"""`calibration.fitted_on` of a card whose confidences were fitted to no data."""


class ModelAnnounced(Message):
    """A service announces which model it serves, and from when on it owns the texts."""

    event_type: ClassVar[str] = "dev.sprat.model.announced.v1"
    signed: ClassVar[bool] = True

    task: Annotated[TaskName, Field(description="The task served.")]
    model: Annotated[ModelName, Field(description="The name by which texts ask for it.")] = "default"
    version: Annotated[str, Field(min_length=1, description="Content hash of the artefact.")]
    labels: Annotated[
        tuple[str, ...] | None, Field(description="The labels that it can answer with; null for open tasks.")
    ] = None
    label_set: Annotated[str | None, Field(description="Hash of the labels.")] = None
    languages: Annotated[tuple[LanguageTag, ...], Field(description="Languages it reads; empty means any.")] = ()
    targets: Annotated[tuple[LanguageTag, ...], Field(description="Languages it translates into.")] = ()
    owns_from: Annotated[
        EpochMs | None,
        Field(description="It owns the texts appended from then on, epoch milliseconds; null: not serving yet."),
    ] = None
    card: dict[str, Any] = Field(
        default_factory=dict, description="Scores, calibration and licence: the artefact's card."
    )
    thresholds: Annotated[
        Thresholds | None,
        Field(description="From which confidence on its answers are how often right; null where it was not measured."),
    ] = None

    @property
    def is_calibrated(self) -> bool:
        """Whether its confidences are chances, as far as the card says; a card that says nothing counts as one."""
        calibration = self.card.get("calibration")
        return not (isinstance(calibration, dict) and calibration.get("fitted_on") == NOT_FITTED)

    @property
    def keep_at(self) -> float | None:
        """The least confidence, by its card, to keep an answer; None where the card says none."""
        return _share(self.card.get("keep_at"))

    @property
    def keep_at_by_language(self) -> dict[str, float]:
        """What its card says instead for a language, without region."""
        given = self.card.get("keep_at_by_language")
        shares = {name: _share(value) for name, value in given.items()} if isinstance(given, dict) else {}
        return {name: share for name, share in shares.items() if share is not None}

    @property
    def keep_at_outside(self) -> float:
        """The least confidence, by its card, to keep an answer that no label fits; 0 where the card says none."""
        return _share(self.card.get("keep_at_outside")) or 0.0


def _share(given: object) -> float | None:
    return float(given) if isinstance(given, int | float) and 0 <= given <= 1 else None
