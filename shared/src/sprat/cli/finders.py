"""The finders that `sprat mask` asks: as the frontier service has them, or fewer where a person says so."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sprat.errors import UserError

if TYPE_CHECKING:
    from sprat.perimeter import Finder

_SERVICE: Final = "sprat_frontier"
_ARTEFACT: Final = ("artefacts", "rampart")
_INSTALL: Final = "pip install sprat-frontier"
_ELSE: Final = (
    "name its folder with --tagger FOLDER, or give --validators-alone to see what is found without it (no names then)"
)


PolicyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="A policy file, for what its section perimeter adds."),
]
TaggerFolder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", show_default=False, help="The tagger. [default: the frontier service's]"),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, and in which languages it is enough that nobody looks for names."""

    finders: "tuple[Finder, ...]"
    validators_alone: tuple[str, ...]


def shipped_tagger() -> Path:
    """Give the folder of the tagger that the frontier service ships; no code of the service runs.

    Raises:
        UserError: the service is not installed here; it says what to do.
    """
    spec = find_spec(_SERVICE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place).joinpath(*_ARTEFACT)
        if folder.is_dir():
            return folder
    raise UserError(f"the tagger, which finds names, comes with the frontier service: {_INSTALL}; or {_ELSE}")


def gather(policy: Path | None, tagger: Path | None, *, alone: bool) -> Asked:
    """Load what is to be asked: validators, the policy's terms and, unless `alone`, the tagger.

    Raises:
        UserError: the policy or the tagger cannot be used, or a package is missing.
    """
    try:
        return _gather(policy, tagger, alone=alone)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sprat":
            raise
        raise UserError(f"`mask` needs the Python package {error.name}: pip install 'sprat[perimeter]'") from None


def _gather(policy: Path | None, tagger: Path | None, *, alone: bool) -> Asked:
    # Imported here: these need packages that the rest of the command line does without, some of them slow to load.
    from sprat.perimeter.terms import Terms  # noqa: PLC0415 - heavy; help must be quick
    from sprat.perimeter.validators import Validators  # noqa: PLC0415 - as above
    from sprat.policy import PerimeterPolicy, load_policy  # noqa: PLC0415 - as above

    rules: PerimeterPolicy = PerimeterPolicy() if policy is None else load_policy(policy).perimeter
    finders: tuple[Finder, ...] = (Validators(), Terms.of(rules))
    if not alone:
        finders = (_load_tagger(shipped_tagger() if tagger is None else tagger), *finders)
    return Asked(finders, rules.validators_alone)


def _load_tagger(folder: Path) -> "Finder":
    from sprat.models import BrokenArtefact  # noqa: PLC0415 - as above
    from sprat.perimeter import NameFinder  # noqa: PLC0415 - as above
    from sprat.perimeter.tagger import Tagger  # noqa: PLC0415 - as above

    try:
        tagger = Tagger.load(folder)
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
    return NameFinder(tagger, frozenset(tagger.card.languages))
