"""The policy: which answers are kept, and what may leave the perimeter. `load.py` reads it from a file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Final, Self

import re2  # type: ignore[import-untyped]  # google-re2 carries no types
from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo
from pydantic_core import PydanticCustomError

from sprat.base.errors import UserError
from sprat_contracts import OUTPUTS, OWN_TASKS, TASKS, IntentOutput, LabelsOutput, ModelAnnounced, NerOutput, Output
from sprat_contracts.reviews import PEOPLE
from sprat_contracts.texts import FrontierRule
from sprat_policy.section import HostName, PolicySection, variable_of
from sprat_policy.source_globs import Claim
from sprat_policy.task_policy import TaskPolicies, TaskRules
from sprat_policy.tenant_policy import TenantPolicy
from sprat_policy.tiers import FRONTIER, INSIDE, MAX_TIERS, TierPolicy, is_relayed

STRICTEST_FIRST: Final[tuple[FrontierRule, ...]] = ("deny", "redact", "allow")
ALL_OTHERS: Final = "*"
"""The name of the policy for every tenant that has none of its own."""

COMPARED: Final = frozenset({IntentOutput, LabelsOutput, NerOutput})
"""Forms of which a tier's answer can be compared with the small model's."""
_DENIED: Final = TenantPolicy()
"""Of a tenant for which the policy has nothing."""
MAX_WORD = 200
MAX_PATTERN = 200
_MAX_PROGRAM: Final = 1000
"""Most steps of a compiled pattern. RE2 takes time linear in steps × characters: 0.05 s at most for 20,000 of them."""
_MAX_MEMORY: Final = 1 << 20

TermType = Annotated[
    str,
    Field(
        pattern=r"^[A-Z][A-Z0-9_]{0,31}$",
        description="what its placeholders are called, as PROJECT: capital letters, digits and underscores, at most 32",
    ),
]


@lru_cache(maxsize=1024)
def _compile(pattern: str, *, ignore_case: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.max_mem = _MAX_MEMORY
    return re2.compile(pattern, options)


def _check_word(word: str) -> str:
    if not any(character.isalnum() for character in word):
        raise PydanticCustomError("no_word", "there is no letter or digit in it; remove it")
    return word


def _check_pattern(pattern: str, info: ValidationInfo) -> str:
    try:
        program = compile_pattern(pattern, ignore_case=info.data.get("ignore_case", False))
    except re2.error as error:
        reason = error.args[0] if error.args else None
        message = reason.decode() if isinstance(reason, bytes) else "not a regular expression"
        raise PydanticCustomError("no_pattern", "{message}", {"message": message}) from None
    if program.programsize > _MAX_PROGRAM:
        raise PydanticCustomError("no_pattern", "its repetitions make it too large; use smaller ones")
    if program.search("") is not None or program.search(" ") is not None:
        raise PydanticCustomError(
            "no_pattern", "it matches nothing at all or white space, so it would match everywhere"
        )
    return pattern


class TermRule(PolicySection):
    """Words that must not leave the perimeter."""

    type: TermType
    words: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_WORD), AfterValidator(_check_word)], ...],
        Field(
            min_length=1,
            max_length=10_000,
            description="a list of words or phrases; case, spaces, `-` and `_` between their words do not matter",
        ),
    ]


class PatternRule(PolicySection):
    """A pattern whose matches must not leave the perimeter."""

    type: TermType
    ignore_case: Annotated[
        bool, Field(description="true or false: whether it matches in capitals and in small letters")
    ] = False
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_PATTERN,
            description="a regular expression as RE2 reads it (no look-around), in quotes, as 'K-[0-9]{6}'",
        ),
        AfterValidator(_check_pattern),
    ]


class PrivacyPolicy(PolicySection):
    """What is masked besides the detections of tagger and validators, and the languages that need no tagger."""

    terms: Annotated[
        tuple[TermRule, ...], Field(max_length=100, description="a list of sections with type and words")
    ] = ()
    patterns: Annotated[
        tuple[PatternRule, ...], Field(max_length=100, description="a list of sections with type and pattern")
    ] = ()
    validators_alone: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...],
        Field(
            description="a list of languages, as [fi, el], whose texts may leave though nothing looks for names in them"
        ),
    ] = ()


class Policy(PolicySection):
    """The whole file."""

    tasks: Annotated[
        TaskPolicies, Field(description=f"the sections {', '.join(TASKS)}, and one for each task file")
    ] = TaskPolicies()
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

    regions: Annotated[
        dict[
            Annotated[
                str,
                Field(
                    pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="a region: lower-case letters, digits, hyphens"
                ),
            ],
            tuple[HostName, ...],
        ],
        Field(default_factory=dict, description="a list of host names for each region, as eu: [api.mistral.ai]"),
    ]

    inside: Annotated[
        tuple[HostName, ...],
        Field(max_length=100, description="a list of the hosts inside the house: what they get has not left"),
    ] = ()

    tiers: Annotated[
        tuple[TierPolicy, ...],
        Field(max_length=MAX_TIERS, description="a list of the models that are asked, in this order"),
    ] = ()

    def problem_of_server(self, host: str, region: str | None, model: str = "") -> str | None:
        """Return why nothing may be sent to a server; None where what its region may get may be.

        Args:
            host: its name or address.
            region: where it is said to run; None: it is not said.
            model: what is asked there.
        """
        host = host.lower()
        if self.is_inside(host):
            if not is_relayed(model):
                return None
            return (
                f"ollama sends what {model} gets to ollama.com, so it is not inside; name a model that runs on {host}, "
                "or take that host out of `inside`"
            )
        if region is None:
            return f"it needs `region`: where {host} runs; or name the host under `inside`, if it is your own"
        if region == INSIDE:
            return f"the region {INSIDE} is that of the hosts under `inside`, and {host} is none; name its region"
        if self.regions and host not in self.regions.get(region, ()):
            return (
                f"the policy does not list the host {host} in the region {region}: nothing is sent there; correct the "
                f"region or the address, or add to the policy: regions: {{{region}: [{host}]}}"
            )
        return None

    def is_inside(self, host: str) -> bool:
        """Return whether a host is inside the house: what it gets has not left."""
        return host.lower() in self.inside

    def tier_problems(self) -> Iterator[tuple[int, str]]:
        """Return what is wrong in the tiers beside each other, by their places in the list from 0."""
        names: set[str] = set()
        groups: list[str | None] = []
        for place, tier in enumerate(self.tiers):
            if tier.label in names:
                yield place, f"another tier is called {tier.label}; give this one a `name`"
            if tier.group is not None and tier.group in groups[:-1] and groups[-1] != tier.group:
                yield place, f"another tier stands between those of the group {tier.group}; put them together"
            if tier.label == PEOPLE:
                yield place, f"{PEOPLE} review what is kept; give the tier another `name`"
            names.add(tier.label)
            groups.append(tier.group)
            yield from ((place, problem) for problem in self._problems_of(tier))

    def _problems_of(self, tier: TierPolicy) -> Iterator[str]:
        """Return what of a tier does not fit the tenants and hosts of the policy."""
        for tenant in tier.tenants:
            if tenant not in self.tenants:
                yield f"no tenant {tenant!r} has a section of its own; name one that has, or take it out"
        if tier.host is None:
            return
        yield from self._problems_of_key(tier)
        if problem := self.problem_of_server(tier.host, tier.region_name, tier.model_name or ""):
            yield problem

    def _problems_of_key(self, tier: TierPolicy) -> Iterator[str]:
        """Return whose signing key would go to a provider as that of a tier."""
        variable = None if tier.api_key is None else variable_of(tier.api_key)
        for name, tenant in self.tenants.items():
            if variable in tenant.key_variables:
                yield f"{variable} is a signing key of tenant {name!r}, which no provider may know; name another one"

    def problem_of_reviewer(self, task: str, by: str, form: type[Output] | None = None) -> str | None:
        """Return why it cannot be reviewed by this one; None where it can be.

        Args:
            task: whose answers are reviewed.
            by: who reviews.
            form: of its output; None: that of this version, or it is not known yet.
        """
        if by == PEOPLE:
            return None
        own = OWN_TASKS.get(task)
        if (form or OUTPUTS.get(task, IntentOutput)) not in COMPARED or (own is not None and not own.asks_frontier):
            return f"no tier reviews {task}: its answers cannot be compared, or no tier is asked; write {PEOPLE}"
        tiers = self.tiers or (TierPolicy(preset=FRONTIER),)
        tier = next((each for each in tiers if each.label == by), None)
        if tier is None:
            return f"no tier is called so; expected: {', '.join((PEOPLE, *(each.label for each in tiers)))}"
        return None if not tier.tasks or task in tier.tasks else f"this tier is not for the task {task}; add it there"

    @property
    def named_tenants(self) -> tuple[str, ...]:
        """The tenants that have a section of their own."""
        return tuple(name for name in self.tenants if name != ALL_OTHERS)

    def section(self, tenant: str) -> str | None:
        """Return the name of the section with a tenant's policy: its own, else `"*"`; None where there is none."""
        return tenant if tenant in self.tenants else ALL_OTHERS if ALL_OTHERS in self.tenants else None

    def tenant(self, name: str) -> TenantPolicy:
        """Return the tenant's policy, else that of `"*"`, else one that denies all."""
        section = self.section(name)
        return _DENIED if section is None else self.tenants[section]

    def claims(self) -> Iterator[Claim]:
        """Return all sources of all tenants."""
        for section, tenant in self.tenants.items():
            yield from (Claim(section, *claim) for claim in tenant.claims())

    _added: Mapping[str, TaskRules] = PrivateAttr({})

    def with_added(self, tasks: Mapping[str, TaskRules]) -> Self:
        """Return this policy with those of tasks from files of their own, below the sections that it has for them.

        Raises:
            UserError: a file names a reviewer that the policy does not have, or that cannot review its answers.
        """
        sections = self.tasks.of_files
        for name, rules in tasks.items():
            form = getattr(rules, "form", None)
            found = [("the file of the task", each) for each in rules.reviews()]
            found += [("the policy, tasks", each) for each in (sections[name].reviews() if name in sections else ())]
            for where, (path, review) in found:
                if problem := self.problem_of_reviewer(name, review.by, form):
                    raise UserError(f"{where} {name}: {'.'.join(path)}.by: {review.by!r}: {problem}")
        copy = self.model_copy()
        copy._added = {name: rules.below(sections.get(name)) for name, rules in tasks.items()}  # noqa: SLF001 - its own
        return copy

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks with a policy: those of this version, then those from files."""
        return (*TaskPolicies.model_fields, *self._added)

    @property
    def reviewed_tasks(self) -> tuple[str, ...]:
        """The tasks of which a share of the kept answers is reviewed."""
        return tuple(name for name in self.task_names if any(each.share for _, each in self.task(name).reviews()))

    def task(self, name: str) -> TaskRules:
        """Return the policy for a task.

        Raises:
            KeyError: there is no such task.
        """
        if name not in TaskPolicies.model_fields:
            return self._added[name]
        policy: TaskRules = getattr(self.tasks, name)
        return policy


def effective_rule(text_rule: FrontierRule, tenant: TenantPolicy) -> FrontierRule:
    """Return the stricter of the text's rule and its tenant's."""
    return min(text_rule, tenant.frontier, key=STRICTEST_FIRST.index)


@dataclass(frozen=True, slots=True)
class UnannouncedModel:
    """A section of the policy for a model that no service has announced: likely a typo, and without effect."""

    task: str
    model: str
    suggestion: str | None
    """The closest name among the task's announced models that have no section."""

    @property
    def place(self) -> str:
        """Return the path of the section in the policy file."""
        return f"tasks.{self.task}.models.{self.model}"

    def __str__(self) -> str:
        return f"{self.place} (did you mean {self.suggestion}?)" if self.suggestion else self.place


def unannounced_models(policy: Policy, announced: Iterable[ModelAnnounced]) -> tuple[UnannouncedModel, ...]:
    """Return the models that the policy names and no service has announced, in the file's order."""
    known = {(each.task, each.model) for each in announced}
    unannounced: list[UnannouncedModel] = []
    for task in policy.task_names:
        named = policy.task(task).named_models
        free = sorted(model for model_task, model in known if model_task == task and model not in named)
        unannounced += [
            UnannouncedModel(task, name, _closest(name, free)) for name in named if (task, name) not in known
        ]
    return tuple(unannounced)


def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Any:
    """Compile a pattern of the policy with RE2, which never backtracks: time is linear in the text.

    Raises:
        re2.error: not a regular expression, or too large.
    """
    return _compile(pattern, ignore_case=ignore_case)


def _closest(name: str, candidates: Iterable[str]) -> str | None:
    by_lower = {each.lower(): each for each in candidates}
    matches = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[matches[0]] if matches else None
