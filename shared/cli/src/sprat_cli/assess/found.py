"""What an assessment found: the `keep_at` that was asked for and what goes before it, for report and terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sprat.errors import UserError
from sprat_cli.assess.below_card import below_card
from sprat_cli.assess.keep_at_target import KeepAtTarget
from sprat_cli.assess.not_below_card import HeldBack, not_below_card
from sprat_cli.assess.outside_kept import CHOSEN, OutsideKept
from sprat_cli.terminal import faint, paint, printable, table
from sprat_cli.which_keep_at import CardKeepAt
from sprat_policy import Policy
from sprat_training.evaluation.report import about_choice, assessment_html, strategy_table
from sprat_training.evaluation.routing import Assessment, ThresholdChoice, for_accuracy, within_budget
from sprat_training.record import TrainingRecord

_TABLE_STEPS: Final = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True)
class AssessmentReport:
    """What the report says besides the figures."""

    page: Path
    title: str
    notes: list[str]
    warnings: list[str]
    """Which the terminal has said at once."""
    outside: OutsideKept

    def noted(self, keep_ats: Mapping[str, float]) -> list[str]:
        """Return the notes, and what becomes of texts outside every label at each `keep_at`, by whose it is."""
        return [*self.notes, *self.outside.lines(keep_ats)]


def default_page(files: Sequence[Path], model: str) -> Path:
    """Return the default place of the report."""
    more = f"+{len(files) - 1}-more" if len(files) > 1 else ""
    return files[0].with_name(f"{files[0].stem}{more}-{model}-assessment.html")


def find_keep_at(
    assessment: Assessment,
    accuracy: float | None,
    budget_eur: float | None,
    named: Mapping[str, float],
    of_card: CardKeepAt,
    record: TrainingRecord | None,
    target: KeepAtTarget,
    rules: Policy | None,
    language: str,
    report: AssessmentReport,
) -> tuple[ThresholdChoice | None, HeldBack | None, Mapping[str, float]]:
    """Return what was asked for, what goes before it, where something does, and each keep_at by whose it is.

    Write the report, which shows what can be reached also where that is too little.

    Args:
        assessment: in which it is looked for.
        accuracy: that was asked for, or
        budget_eur: per million texts; both None: nothing was.
        named: the thresholds that the table shows besides, by whose they are.
        of_card: the `keep_at` of the card.
        record: what the model remembers of its training, such as the accuracy that was asked for there.
        target: where that of the model stands.
        rules: the policy; None: there is none.
        language: of the texts.
        report: what it says besides.

    Raises:
        UserError: nothing reaches what was asked for, or the report cannot be written.
    """
    choice: ThresholdChoice | None = None
    held_back: HeldBack | None = None
    keep_ats, source = named, target.source(rules, language)
    try:
        choice = _choose(assessment, accuracy, budget_eur)
        in_force = named.get("task", named.get("policy"))
        asked = None if record is None else record.reading.accuracy
        held_back = below_card(assessment, choice, of_card, in_force, target.place, source) or not_below_card(
            assessment,
            choice,
            of_card,
            asked,
            in_force,
            target.place,
            source,
            by_hand=target.is_by_hand(rules, language),
        )
        keep_ats = named if choice is None else {CHOSEN: choice.chosen.keep_at, **named}
    finally:
        notes = [*report.noted(keep_ats), *report.warnings]
        _write_page(report.page, assessment_html(assessment, report.title, notes, choice, _caution(held_back)))
    return choice, held_back, keep_ats


def _caution(held_back: HeldBack | None) -> str | None:
    return None if held_back is None else str(held_back)


def _choose(assessment: Assessment, accuracy: float | None, budget_eur: float | None) -> ThresholdChoice | None:
    if accuracy is not None:
        return for_accuracy(assessment, accuracy)
    return None if budget_eur is None else within_budget(assessment, budget_eur)


def _write_page(page: Path, html: str) -> None:
    try:
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page}: cannot be written: {error.strerror}") from None


def summary(
    assessment: Assessment,
    choice: ThresholdChoice | None,
    held_back: HeldBack | None,
    notes: list[str],
) -> list[str]:
    """Return the lines for a terminal: notes, the table, and the `keep_at` that was found."""
    steps = {*_TABLE_STEPS, *(choice.named_keep_ats if choice else ())}
    names, *cells = strategy_table(assessment, steps, ("small alone", "frontier alone"), brief=True)
    head, *rest = table([tuple(map(str.upper, names)), *cells])
    lines = [*map(printable, notes), "", faint(head), *rest, ""]
    if choice is not None:
        provisional = held_back is not None or (choice.recommended is not None and not choice.recommended.is_shown)
        said, *more = about_choice(assessment, choice, _caution(held_back))
        lines += [paint(said, "yellow" if provisional else "green"), *more]
    return lines
