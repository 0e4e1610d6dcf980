"""`SPRAT_*` variables that nothing reads: a mistyped name sets nothing, and nobody says so."""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from sprat.settings import ServiceSettings
from sprat_cli.doctor.check import Check, warning
from sprat_contracts import TASKS

SERVICES_OWN = (
    "SPRAT_POLICY",
    *(f"SPRAT_{task.upper()}__{field}" for task in TASKS for field in ("ARTEFACT", "MODEL", "THREADS")),
    "SPRAT_FRONTIER__BASE_URL",
    "SPRAT_FRONTIER__MODEL",
    "SPRAT_FRONTIER__API_KEY",
    "SPRAT_FRONTIER__PROVIDER",
    "SPRAT_FRONTIER__REGION",
    "SPRAT_FRONTIER__PRICES",
    "SPRAT_FRONTIER__TAGGER",
    "SPRAT_FRONTIER__TIMEOUT_S",
    "SPRAT_FRONTIER__MAX_RETRIES",
    "SPRAT_FRONTIER__RETRY_BASE_S",
    "SPRAT_FRONTIER__RETRY_CAP_S",
    "SPRAT_FRONTIER__CONCURRENCY",
    "SPRAT_FRONTIER__TEMPERATURE",
    "SPRAT_FRONTIER__MAX_OUTPUT_TOKENS",
    "SPRAT_FRONTIER__MAX_WAIT_S",
    "SPRAT_FRONTIER__ANSWER_TTL_S",
    "SPRAT_FRONTIER__BREAKER__FAILURES",
    "SPRAT_FRONTIER__BREAKER__COOLDOWN_S",
    "SPRAT_FRONTIER__BREAKER__MAX_COOLDOWN_S",
)
"""What this repository's services read on top of what every service reads. Not imported: they may not be installed."""
_PREFIX = "SPRAT_"
_OTHERS = ("SPRAT_SIMULATOR_", "SPRAT_TEST_", "SPRAT_DATA", "SPRAT_MODELS")
"""Of programs with names of their own: the simulator, the tests, the recipes, `sprat up`."""
_LIKENESS = 0.85


def check_variables(environment: Mapping[str, str] = os.environ) -> Iterator[Check]:
    """Warn of each variable that looks like a setting and is none."""
    known = (*_names(ServiceSettings, _PREFIX), *SERVICES_OWN)
    for name in sorted(environment):
        upper = name.upper()  # the settings do not mind the case
        if not upper.startswith(_PREFIX) or upper.startswith(_OTHERS) or _is_read(upper, known):
            continue
        meant = _meant(upper, known)
        if meant is None and "__" in upper:  # a service of somebody else's has a section of its own
            continue
        mend = f"did you mean {meant}?" if meant is not None else "unset it, or see the README for the names"
        yield warning("variables", f"{name} is no setting: nothing reads it", mend)


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Give the variables of a model's fields."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _names(field.annotation, f"{variable}__")
        else:
            yield variable


def _is_read(name: str, known: Iterable[str]) -> bool:
    """Tell whether it is a setting, or a section as one JSON (SPRAT_KAFKA), or an entry (SPRAT_FRONTIER__PRICES__X)."""
    return any(name == each or each.startswith(f"{name}__") or name.startswith(f"{each}__") for each in known)


def _meant(name: str, known: Iterable[str]) -> str | None:
    bare = {each.replace("_", ""): each for each in known}
    found = difflib.get_close_matches(name.replace("_", ""), bare, 1, _LIKENESS)
    return bare[found[0]] if found else None
