"""The detectors that `sprat mask` runs: those of the frontier service, or fewer if the user asks for fewer."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sprat.base.errors import UserError
from sprat_cli.app import explain_missing_package
from sprat_cli.asked_tiers import policy_for_masking
from sprat_operations.local_run import LocalRun

if TYPE_CHECKING:
    from sprat_privacy import Detector

_INSTALL: Final = "pip install --force-reinstall sprat-privacy"
_ELSE: Final = (
    "name its folder with --tagger FOLDER, or give --validators-alone to see what is found without it (no names then)"
)


@dataclass(frozen=True, slots=True)
class DetectorSet:
    """The detectors to run, and the languages in which texts may be sent without a search for names."""

    detectors: "tuple[Detector, ...]"
    validators_alone: tuple[str, ...]


def shipped_tagger() -> Path:
    """Return the folder of the shipped tagger.

    Raises:
        UserError: the package was installed without it; the message says what to do.
    """
    from sprat_privacy.detectors.tagger import SHIPPED_TAGGER  # noqa: PLC0415 - loads CTranslate2

    if SHIPPED_TAGGER.is_dir():
        return SHIPPED_TAGGER
    raise UserError(f"{SHIPPED_TAGGER}: the tagger, which finds names, is not there: {_INSTALL}; or {_ELSE}")


def load_detectors(
    policy: Path | None, tagger: Path | None, *, alone: bool, run: LocalRun | None = None
) -> DetectorSet:
    """Load the detectors: validators, the terms of the policy, and unless `alone` the tagger.

    The policy is the one given, else that of `run`, this user's `sprat up`, else the one of `SPRAT_POLICY`.

    Raises:
        UserError: the policy or the tagger cannot be used, or a package is missing.
    """
    with explain_missing_package("mask"):
        return _load(policy_for_masking(policy, run), tagger, alone=alone)


def _load(policy: Path | None, tagger: Path | None, *, alone: bool) -> DetectorSet:
    # Imported here: these need packages that the rest of the command line does without, some of them slow to load.
    from sprat_policy import PrivacyPolicy, load_policy  # noqa: PLC0415 - as above
    from sprat_privacy.detectors.fixed import fixed_detectors  # noqa: PLC0415 - as above

    rules: PrivacyPolicy = PrivacyPolicy() if policy is None else load_policy(policy).perimeter
    names = () if alone else (_load_tagger(shipped_tagger() if tagger is None else tagger),)
    return DetectorSet((*names, *fixed_detectors(rules, names=not alone)), rules.validators_alone)


def _load_tagger(folder: Path) -> "Detector":
    from sprat_inference.artefact import BrokenArtefact  # noqa: PLC0415 - as above
    from sprat_privacy import NameDetector  # noqa: PLC0415 - as above
    from sprat_privacy.detectors.tagger import Tagger  # noqa: PLC0415 - as above

    try:
        tagger = Tagger.load(folder)
    except BrokenArtefact as error:
        raise UserError(str(error)) from None
    return NameDetector(tagger, frozenset(tagger.card.languages))
