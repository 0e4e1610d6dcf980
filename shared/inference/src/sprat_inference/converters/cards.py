"""What the cards of all converted models share: whom they come from, and that nothing was measured yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sprat_contracts.announcements import NOT_FITTED
from sprat_inference.card import label_set_hash

LONGEST_TEXT: Final = 20_000
"""Code points of the longest text that the contract allows. Nothing is known of texts of another length."""

NOT_MEASURED_LIMIT: Final = "Not measured here: what its authors say of it is in their own card."


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the files of a model do not state."""

    name: str
    """For the card."""
    source: str
    """Where the files were taken from: a model's id with its commit, or a folder."""
    authors: str
    """Whom to credit."""
    licence: str
    """SPDX expression of the weights."""
    languages: tuple[str, ...]
    """BCP 47 tags of the texts that it reads; empty if it is not known, so that texts of all languages are read."""
    outside_label: str | None = None
    """The label that means: none of the others."""

    def work(self, used_for: str, sha256: str | None = None) -> dict[str, str | None]:
        """Return the weights as a card states them; see :class:`sprat_inference.card.Work`."""
        return {
            "name": self.name,
            "authors": self.authors,
            "licence": self.licence,
            "source": self.source,
            "used_for": used_for,
            "sha256": sha256,
        }


@dataclass(frozen=True, slots=True)
class WrittenNetwork:
    """A network in the folder of an artefact, and what its card says of it."""

    reader: str
    max_tokens: int
    """Tokens read at once, the special ones included."""
    used_for: str
    """What it was made of the weights."""
    sha256: str | None = None
    """Of the file that was taken as it is."""
    limits: tuple[str, ...] = ()


def uncalibrated_card(
    provenance: Provenance,
    task: str,
    labels: tuple[str, ...],
    network: WrittenNetwork,
    calibration: Mapping[str, Any],
    limits: tuple[str, ...],
) -> dict[str, Any]:
    """Return the card of a model of others that gives labels, before anything is measured.

    Args:
        provenance: what its files do not state.
        task: that it answers.
        labels: of its answers.
        network: that was written.
        calibration: `method`, and `parameters` where it has any.
        limits: of the model, beside those of the network.
    """
    return {
        "name": provenance.name,
        "task": task,
        "reader": network.reader,
        "labels": labels,
        "label_set": label_set_hash(labels),
        "languages": provenance.languages,
        "max_tokens": network.max_tokens,
        "licence": provenance.licence,
        "made_of": (provenance.work(network.used_for, network.sha256),),
        "scores": (),
        "calibration": {
            "fitted_on": NOT_FITTED,
            "outside_share": 0.0,
            "longest_code_points": LONGEST_TEXT,
            "parameters": {},
            **calibration,
        },
        "keep_at": 1.0,
        "keep_at_rule": "not calibrated, so keeping nothing is recommended",
        "limits": (*limits, *network.limits, NOT_MEASURED_LIMIT),
    }
