"""What the policy says of a tenant: what of its texts may leave, and which texts are its own."""

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sprat_contracts.texts import FrontierRule
from sprat_policy.section import PolicySection, VariableReference, variable_of, wrong
from sprat_policy.source_globs import matches

MAX_SOURCE: Final = 256
MAX_SOURCES: Final = 100
MAX_KEYS: Final = 2
"""Both are valid: while one takes the place of the other, upstream systems change at their own time."""

SourceGlob = Annotated[str, Field(min_length=1, max_length=MAX_SOURCE, pattern=r"^[^\x00-\x1f\x7f]+$")]


class TenantPolicy(PolicySection):
    """What of a tenant's texts may leave the perimeter, to which regions, and how long a hard case may wait."""

    frontier: Annotated[
        FrontierRule,
        Field(description="allow: whole; redact: with personal data masked; deny: not at all"),
    ] = "deny"
    regions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], ...],
        Field(description="a list of the regions a text may go to: lower-case letters, digits and hyphens, as [eu]"),
    ] = ()
    deadline_ms: Annotated[
        int,
        Field(
            gt=0,
            le=604_800_000,
            description="1 to 604800000: the milliseconds that a hard case may wait where its text does not say",
        ),
    ] = 30_000
    max_escalations_per_min: Annotated[
        int | None,
        Field(
            ge=0,
            le=1_000_000,
            description="0 to 1000000: the hard cases for which the frontier model is called in a minute",
        ),
    ] = None
    sources: Annotated[
        tuple[SourceGlob, ...],
        Field(
            min_length=1,
            max_length=MAX_SOURCES,
            description="a list of the sources that its texts come from, and nobody else's, as [/crm/*]: '*' stands "
            "for any characters, all others for themselves; left out: from any that no tenant has",
        ),
    ] = ()
    signing_keys: Annotated[
        tuple[VariableReference, ...],
        Field(
            min_length=1,
            max_length=MAX_KEYS,
            repr=False,
            description="a list of one or two variables of the environment that hold the keys that it signs its texts "
            "with, as ['${SPRAT_CRM_KEY}']",
        ),
    ] = ()
    door_sources: Annotated[
        tuple[SourceGlob, ...],
        Field(
            min_length=1,
            max_length=MAX_SOURCES,
            description="a list of the sources from which the HTTP door sends its texts, and nobody else's, "
            "as [/web/*]",
        ),
    ] = ()
    door_keys: Annotated[
        tuple[VariableReference, ...],
        Field(
            min_length=1,
            max_length=MAX_KEYS,
            repr=False,
            description="a list of one or two variables of the environment that hold the keys of the HTTP door, which "
            "signs with the first, as ['${SPRAT_CRM_DOOR_KEY}']",
        ),
    ] = ()

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The names of the variables with its keys, those of the door last."""
        return tuple(map(variable_of, (*self.signing_keys, *self.door_keys)))

    @property
    def is_signed(self) -> bool:
        """Whether its texts need a signature."""
        return bool(self.signing_keys or self.door_keys)

    @property
    def is_bound(self) -> bool:
        """Whether its texts need a source of its own or a signature."""
        return bool(self.sources) or self.is_signed

    def claims(self) -> Iterator[tuple[str, int, str]]:
        """Return its sources, which no other tenant may use: field, place in it, glob."""
        for field, globs in (("sources", self.sources), ("door_sources", self.door_sources)):
            yield from ((field, place, glob) for place, glob in enumerate(globs))

    def is_of_door(self, source: str) -> bool:
        """Return whether the door sends texts from a source."""
        return any(matches(glob, source) for glob in self.door_sources)

    @model_validator(mode="after")
    def _check_regions(self) -> "TenantPolicy":
        if self.frontier != "deny" and not self.regions:
            raise PydanticCustomError(
                "no_region", "frontier is not deny, but no region is named; add regions, as [eu], or say deny"
            )
        return self

    @model_validator(mode="after")
    def _check_door(self) -> "TenantPolicy":
        if self.door_sources and not self.door_keys:
            raise wrong("door_sources", "the door has no key for them; add door_keys, as ['${SPRAT_CRM_DOOR_KEY}']")
        if self.door_keys and not self.door_sources:
            raise wrong("door_keys", "valid for no source; add door_sources, as [/web/*], from which the door sends")
        if shared := [variable_of(each) for each in self.door_keys if each in self.signing_keys]:
            raise wrong(
                "door_keys",
                f"{shared[0]} is one of signing_keys, too: the door could sign for every source; name another variable",
            )
        return self
