"""What `sprat assess` changes in a policy file.

`--write`: the `keep_at` of the assessed model, of a task from a file in that file.
`--calibrate-tiers`: what the probabilities of its tiers mean. Nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat import plugins
from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.installation import how_to_restart
from sprat_cli.terminal import counted
from sprat_policy import (
    KeepAtSource,
    TaskPolicy,
    TierCalibration,
    TierPolicy,
    keep_at_location,
    load_policy,
    load_task_file,
    set_keep_at,
    set_task_keep_at,
    set_tier_calibration,
)
from sprat_training.tier_calibration import TierFit

_TASK: Final = "intent"


@dataclass(frozen=True, slots=True)
class KeepAtChange:
    """A `keep_at` that was written."""

    file: Path
    field: str
    now: float
    was: str | None
    """As it was written in the file; None where it was not."""
    others: tuple[str, ...] = ()
    """The languages for which another number holds."""
    restart: str = "restart the router"
    """What applies it."""
    why: str = ""
    """What is to be known of it."""
    noted: bool = False
    """Whether what stands behind it is new."""
    unnoted: bool = False
    """Whether nothing could be put behind it that says where it comes from."""

    def __str__(self) -> str:
        if not self.changed:
            what = "the comment behind it names this version now" if self.noted else "nothing is changed"
            return f"{self.file}: {self.field} is {self.now:.2f} already; {what}{self._unnoted}"
        before = f"{self.was or 'not set'}{self._but}"
        now = f"{self.now:.2f}{f' ({self.why})' if self.why else ''}"
        return f"{self.file}: {self.field} is now {now}, was {before}; {self.restart}{self._unnoted}"

    @property
    def _unnoted(self) -> str:
        return (
            "; no comment behind it says for which version it is: something else stands there, or it shares its line"
            if self.unnoted
            else ""
        )

    @property
    def _but(self) -> str:
        return f"; texts in {', '.join(self.others)} keep their own, keep_at_by_language" if self.others else ""

    @property
    def changed(self) -> bool:
        """Return whether the file gives another value than before, to two places as it is written."""
        return self.was is None or f"{float(self.was):.2f}" != f"{self.now:.2f}"

    @property
    def as_json(self) -> dict[str, Any]:
        """Return its fields for `--json`."""
        was = None if self.was is None else float(self.was)
        return {"file": str(self.file), "field": self.field, "now": self.now, "was": was, "changed": self.changed}


def check_task_keep_at(policy: Path, model: str) -> None:
    """Check that the task's own `keep_at` is that of the model, where `--as` is not given.

    It is if the model is the default one and the policy has no section for it.

    Args:
        policy: the policy file.
        model: the name on the model's card.

    Raises:
        UserError: the task's `keep_at` also holds for other models, or not for this one; the message says what to
            write. Or the file is not a policy.
    """
    has_section = model in load_policy(policy).tasks.intent.models
    if model == DEFAULT_MODEL and not has_section:
        return
    why = f"{policy} has a section for it" if has_section else f"{field_of(None)} holds for the shipped model, too"
    message = f"--write: the model assessed is {model}, and {why}; add --as {model} to write {field_of(model)}"
    if model != DEFAULT_MODEL:
        message += (
            f", or --as and the name that texts ask for it by; where it serves in place of the shipped one, "
            f"--as {DEFAULT_MODEL}"
        )
    raise UserError(message)


def write_task_keep_at(file: Path, keep_at: float, name: str | None, source: KeepAtSource) -> KeepAtChange:
    """Write the `keep_at` into the file of a task, or there that of the model that texts ask for as `name`.

    Raises:
        UserError: see :func:`sprat_policy.set_keep_at`.
    """
    content = file.read_bytes()
    before = set_task_keep_at(file, keep_at, name, source)
    field, rules = ".".join(keep_at_location(None, name)), load_task_file(file).of(name or DEFAULT_MODEL)
    return _change(file, field, keep_at, before, rules, name, source, content)


def write_keep_at(policy: Path, keep_at: float, name: str | None, source: KeepAtSource | None = None) -> KeepAtChange:
    """Write the `keep_at` of the task, or of the model that texts ask for as `name`.

    Raises:
        UserError: see :func:`sprat_policy.set_keep_at`.
    """
    content = policy.read_bytes()
    before = set_keep_at(policy, _TASK, keep_at, name, source)
    rules = load_policy(policy).task(_TASK, name or DEFAULT_MODEL)
    return _change(policy, field_of(name), keep_at, before, rules, name, source, content)


def _change(
    file: Path,
    field: str,
    keep_at: float,
    before: str | None,
    rules: TaskPolicy,
    name: str | None,
    source: KeepAtSource | None,
    content: bytes,
) -> KeepAtChange:
    """Return what was written into a file that had this content before; `rules` are those of the model since."""
    return KeepAtChange(
        file,
        field,
        keep_at,
        before,
        tuple(sorted(rules.keep_at_by_language)),
        how_to_restart("router", file),
        noted=file.read_bytes() != content,
        unnoted=source is not None and rules.keep_at_comment(name or DEFAULT_MODEL).source != source,
    )


def write_tier_calibrations(policy: Path, task: str, fits: Sequence[TierFit]) -> Iterator[str]:
    """Write the calibration of each tier that has one for a task, and return a line about each.

    Raises:
        UserError: see :func:`sprat_policy.set_tier_calibration`.
    """
    changed = False
    for fit in fits:
        found = f"tier {fit.tier}: {counted(fit.answers, 'answer')} with a probability"
        if fit.answers:
            found += f", {fit.right} of them right, {fit.stated:.1%} stated on average"
        if fit.platt is None:
            yield f"{found}; not calibrated: {_why_not(policy, fit)}"
            continue
        calibration = TierCalibration(
            bias=round(fit.platt.bias, 4),
            slope=round(fit.platt.slope, 4),
            model=_model(policy, fit.tier),
            texts=fit.answers,
        )
        place, is_new = set_tier_calibration(policy, fit.tier, task, calibration)
        changed |= is_new
        yield (
            f"{found}; Brier score {fit.brier_stated:.3f} as stated, {fit.brier_calibrated:.3f} calibrated, each "
            f"answer by a fit without it; {policy}: {place} is {'now this' if is_new else 'this already'}"
        )
    if changed:
        yield f"the keep_at of these tiers now holds for calibrated chances: assess again; {how_to_restart('frontier')}"


def _why_not(policy: Path, fit: TierFit) -> str:
    if not fit.answers and _tier(policy, fit.tier).keep_at is None:
        return "without a keep_at it is asked for no probabilities; write keep_at: 0 there, and assess again"
    return fit.problem


def _tier(policy: Path, label: str) -> TierPolicy:
    return next(each for each in load_policy(policy).tiers if each.label == label)


def _model(policy: Path, label: str) -> str:
    """Return the model of a tier; that of the settings where the policy names none."""
    tier = _tier(policy, label)
    if tier.model_name is not None:
        return tier.model_name
    model: str = plugins.load(plugins.PROVIDERS, "frontier").model_of_settings()
    return model


def field_of(name: str | None) -> str:
    """Return the place in a policy of the `keep_at` of the task, or of the model that texts ask for as `name`."""
    return ".".join(keep_at_location(_TASK, name))
