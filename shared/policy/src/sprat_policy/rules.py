"""What a policy says, as documented models. `load.py` reads them from a file."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sprat_contracts.texts import FrontierRule, ModelName
from sprat_policy.privacy_rules import PrivacyPolicy, Section

STRICTEST_FIRST: Final[tuple[FrontierRule, ...]] = ("deny", "redact", "allow")
ALL_OTHERS: Final = "*"
"""The tenant whose policy holds for every tenant that is not named."""

_KEEP_AT: Final = "a confidence from 0 to 1; the small model's answer is kept at or above it"
_OUT_OF_SCOPE: Final = "keep: a confident 'no known intent' is an answer like any other; escalate: it is not kept"
_BY_MODEL: Final = "a section for each model that has its own name, as hr, with what differs"
MODEL_NAME: Final = (
    "a model's name as texts ask for it: a letter or digit, then letters, digits, '.', '_' and '-', at most 64 in all, "
    "as hr"
)

KeepAt = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description=_KEEP_AT)]
OutOfScope = Annotated[Literal["keep", "escalate"], Field(description=_OUT_OF_SCOPE)]
NamedModel = Annotated[ModelName, Field(description=MODEL_NAME)]


class ModelPolicy(Section):
    """What differs for one model of a task; what is left out is as for the task."""

    # Said again: pydantic looks for a description beside the union, not inside.
    keep_at: Annotated[KeepAt | None, Field(description=_KEEP_AT)] = None


class IntentModelPolicy(ModelPolicy):
    """As for every task, and what to do with texts outside."""

    out_of_scope: Annotated[OutOfScope | None, Field(description=_OUT_OF_SCOPE)] = None


class TaskPolicy(Section):
    """When the small model's answer is good enough."""

    keep_at: KeepAt = 0.8
    models: Annotated[Mapping[NamedModel, ModelPolicy], Field(description=_BY_MODEL)] = {}

    def of(self, model: str) -> Self:
        """Give what holds for the model that texts ask for by this name."""
        own: ModelPolicy | None = self.models.get(model)
        return self if own is None else self.model_copy(update=own.model_dump(exclude_none=True))


class IntentPolicy(TaskPolicy):
    """As for every task, and what to do with a text that the model takes to be outside every known intent."""

    out_of_scope: OutOfScope = "keep"
    models: Annotated[Mapping[NamedModel, IntentModelPolicy], Field(description=_BY_MODEL)] = {}


class TaskPolicies(Section):
    """One section a task; a task left out has the defaults."""

    intent: Annotated[IntentPolicy, Field(description="the fields keep_at, out_of_scope, models")] = IntentPolicy()
    ner: Annotated[TaskPolicy, Field(description="the fields keep_at, models")] = TaskPolicy()
    translation: Annotated[TaskPolicy, Field(description="the fields keep_at, models")] = TaskPolicy()


class TenantPolicy(Section):
    """What of a tenant's texts may leave the house, where to, and how long a hard case may wait."""

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

    @model_validator(mode="after")
    def _somewhere_to_go(self) -> "TenantPolicy":
        if self.frontier != "deny" and not self.regions:
            raise PydanticCustomError(
                "no_region", "frontier is not deny, but no region is named; add regions, as [eu], or say deny"
            )
        return self


class Policy(Section):
    """The whole file."""

    tasks: Annotated[TaskPolicies, Field(description="the sections intent, ner, translation")] = TaskPolicies()
    tenants: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=256, description="a tenant's name, 1 to 256 characters")],
            TenantPolicy,
        ],
        Field(default_factory=dict, description='a section for each tenant, and "*" for all others'),
    ]

    perimeter: Annotated[PrivacyPolicy, Field(description="the fields terms, patterns, validators_alone")] = (
        PrivacyPolicy()
    )

    def tenant(self, name: str) -> TenantPolicy:
        """Give the tenant's policy; else that of all others; without one nothing leaves."""
        return self.tenants.get(name) or self.tenants.get(ALL_OTHERS) or TenantPolicy()

    def task(self, name: str, model: str = "default") -> TaskPolicy:
        """Give the policy for a task, and of it what holds for one model.

        Raises:
            KeyError: not a task of this version.
        """
        if name not in TaskPolicies.model_fields:
            raise KeyError(name)
        found: TaskPolicy = getattr(self.tasks, name)
        return found.of(model)


def effective_rule(text_rule: FrontierRule, tenant: TenantPolicy) -> FrontierRule:
    """Give the stricter of what the text and its tenant's policy allow."""
    return min(text_rule, tenant.frontier, key=STRICTEST_FIRST.index)
