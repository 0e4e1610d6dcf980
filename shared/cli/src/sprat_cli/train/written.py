"""What a training leaves beside the artefact: its report, and the version before."""

import shlex
from pathlib import Path

from sprat.errors import UserError
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_training.model_card import previous_folder, report_file
from sprat_training.report import training_html
from sprat_training.train import TrainingResult


def write_report(result: TrainingResult, *, show_texts: bool) -> Path:
    """Write the report beside the artefact, and return its path.

    Raises:
        UserError: it cannot be written.
    """
    page = report_file(result.config.output)
    try:
        page.write_text(training_html(result, show_texts=show_texts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page}: cannot be written: {error.strerror}") from None
    return page


def previous_version(folder: Path) -> str | None:
    """Return the version that is kept as the one before that of a folder; None where there is none."""
    before = previous_folder(folder)
    if not before.is_dir():
        return None
    try:
        return _version(before)
    except BrokenArtefact:
        return "a version that cannot be read"


def previous_lines(folder: Path, thrown_away: str | None) -> list[str]:
    """Return where the version is that the artefact of a folder replaced, and how to go back to it.

    Args:
        folder: of the artefact.
        thrown_away: what :func:`previous_version` said before; None where nothing was kept there.

    Raises:
        BrokenArtefact: it cannot be read.
    """
    before = previous_folder(folder)
    gone = "" if thrown_away is None else f"; {thrown_away}, which was kept there, is thrown away"
    lines = [f"{before}: the version before, {_version(before)}{gone}; back to it, with its keep_at in the policy:"]
    reports = report_file(folder), report_file(before)
    return lines + [f"  {_exchange(*pair)}" for pair in ((folder, before), reports) if all(map(Path.exists, pair))]


def _version(folder: Path) -> str:
    card = load_artefact(folder).card
    return f"{card.version}, keep_at {card.keep_at:.2f}"


def _exchange(one: Path, other: Path) -> str:
    aside = one.with_name(f"{other.name}.aside")
    moves = ((one, aside), (other, one), (aside, other))
    return " && ".join(shlex.join(["mv", str(source), str(target)]) for source, target in moves)
