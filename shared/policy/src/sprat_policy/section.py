"""What the sections of the policy file share, and the values that several of them hold."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+", re.ASCII)
"""A name, or an address of IPv4 or IPv6."""
_OWN_SECRETS: Final = frozenset({"${SPRAT_SECRET}", "${SPRAT_PREVIOUS_SECRET}"})


class PolicySection(BaseModel):
    """A part of the policy file. Unknown fields are errors: a typo must not silently loosen a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    replaced: ClassVar[Mapping[str, str]] = {}
    """A field of earlier versions → what is written instead."""


def wrong(field: str, problem: str) -> PydanticCustomError:
    """Return the error of a section; the place shown is that of one of its fields."""
    return PydanticCustomError("section", "{problem}", {"problem": problem, "field": field})


def _check_reference(reference: str) -> str:
    if reference in _OWN_SECRETS:
        raise PydanticCustomError("own_secret", "this is the secret of the services, which no tenant may know")
    return reference


def _check_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise PydanticCustomError("no_host", "not a host name or IP address, without scheme, port and path")
    return host.lower()


VariableReference = Annotated[
    str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]{0,99}\}$"), AfterValidator(_check_reference)
]
"""A variable of the environment, as `${SPRAT_CRM_KEY}`."""

HostName = Annotated[str, AfterValidator(_check_host)]
"""A host name or an address, in small letters."""


def variable_of(reference: str) -> str:
    """Return the name of the variable that a reference names."""
    return reference[2:-1]
