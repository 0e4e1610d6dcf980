"""Writes a trained model as an artefact that the service reads, whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path

from sprat import plugins
from sprat.errors import UserError
from sprat_inference.artefact import CARD, write_artefact
from sprat_inference.card import Card
from sprat_inference.heads import LabelHead
from sprat_inference.serving import SpecialistModel
from sprat_training.encoding import Base


def check_output(output: Path, *, force: bool) -> None:
    """See, before anything is computed, that the folder can be written.

    Raises:
        UserError: it is there already, or its parent is not.
    """
    if output.exists() and not force:
        raise UserError(f"{output}: exists already; name another --output, or replace it with --force")
    if output.exists() and not (output / CARD).is_file():
        raise UserError(f"{output}: no artefact, so --force does not replace it; name another --output")
    if not os.access(output.resolve().parent, os.W_OK):
        raise UserError(f"{output}: its parent folder is not there or cannot be written; name another --output")


def write_model(output: Path, base: Base, head: LabelHead, card: Card) -> Card:
    """Write head, card and, where the encoder is not shared, its files; then load it as the service does.

    Raises:
        UserError: the disk does not take it.
    """
    try:
        with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".sprat-train-") as name:
            folder = Path(name) / "artefact"
            folder.mkdir()
            for path in base.files:
                shutil.copyfile(path, folder / path.name)
            head.save(folder)
            write_artefact(folder, card.model_dump(mode="json"))
            written: SpecialistModel = plugins.load(plugins.MODELS, card.task).load(folder)
            written.probe()
            if output.exists():
                output.rename(Path(name) / "before")
            folder.rename(output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from None
    return written.card
