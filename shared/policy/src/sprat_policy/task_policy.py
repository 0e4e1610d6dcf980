"""When the small model's answer is kept: the goal of a task, a model and a language, or a fixed `keep_at`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sprat.base.errors import UserError
from sprat_contracts import TASKS
from sprat_contracts.languages import primary_subtag
from sprat_contracts.texts import ModelName
from sprat_contracts.thresholds import nearest_levels
from sprat_policy.review_policy import ON_ALARM, REVIEW, OnAlarm, ReviewPolicy
from sprat_policy.section import PolicySection, wrong

GOAL: Final = "the share right that is wanted of the answers kept: 0.80 to 0.995 in steps of 0.005, as 0.97"
_EVIDENCE: Final = "estimated: the goal is reached on average; certified: it is shown by rows with labels"
_KEEP_AT: Final = "a confidence from 0 to 1; the small model's answer is kept at or above it"
OUT_OF_SCOPE: Final = (
    "keep: a confident 'no known intent' is an answer like any other; escalate: it is not kept; {goal: 0.9}: it has a "
    "goal of its own"
)
DOUBTS: Final = (
    "escalate: an answer that its model doubts (denied, several, too_little) is not kept; keep: it is an answer like "
    "any other"
)
_UNCALIBRATED: Final = (
    "escalate: what a model without a calibration says, or one among some of its labels alone, is not kept, however "
    "sure it is; keep: a number decides, keep_at or uncalibrated_keep_at"
)
_UNCALIBRATED_KEEP_AT: Final = "beside `uncalibrated: keep`: the keep_at of such an answer where it was not measured"
_UNIT: Final = (
    "text: an answer is kept where the whole of it reaches the goal; entity: also where it is only as sure that no "
    "name is missed; names below the goal are then marked uncertain"
)
_MISSED: Final = "beside `unit: entity`: escalate what may have missed a name, or allow: it is kept all the same"
TASK_FIELDS: Final = (
    "the fields goal, evidence, keep_at, languages, uncalibrated, uncalibrated_keep_at, review, on_alarm, models"
)
_LANGUAGES: Final = "a section for each language with rules of its own, without region, as de: {goal: 0.95}"
BY_MODEL: Final = "a section for each model that has its own name, as hr, with what differs"
MODEL_NAME: Final = (
    "a model's name as texts ask for it: a letter or digit, then letters, digits, '.', '_' and '-', at most 64 in all, "
    "as hr"
)
UNION_TAGS: Final = ("[word]", "[section]")
"""Steps of a pydantic location that no file has."""


def _check_goal(goal: float) -> float:
    nearest = nearest_levels(goal)
    if nearest == (goal,):
        return goal
    shown = " and ".join(f"{each:g}" for each in nearest)
    raise PydanticCustomError("level", "no such goal; the nearest: {nearest}", {"nearest": shown})


Evidence = Literal["certified", "estimated"]
Doubts = Literal["escalate", "keep"]
Goal = Annotated[float, Field(allow_inf_nan=False, description=GOAL), AfterValidator(_check_goal)]
KeepAt = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description=_KEEP_AT)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="a language without region, as de")]
NamedModel = Annotated[ModelName, Field(description=MODEL_NAME)]
_NAME: Final[TypeAdapter[str]] = TypeAdapter(NamedModel)


def check_model_name(model: str) -> None:
    """Check that texts can request a model by this name.

    Raises:
        UserError: they cannot.
    """
    try:
        _NAME.validate_python(model)
    except ValidationError:
        raise UserError(f"{model!r}: not a name of a model; expected: {MODEL_NAME}") from None


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Which answers of a model to texts in a language are kept."""

    goal: float | None = None
    """The share right that is wanted; None beside no `keep_at`: the goal that the model recommends."""
    evidence: Evidence = "estimated"
    keep_at: float | None = None
    """A fixed confidence instead of a goal."""
    none_goal: float | None = None
    """The goal of answers that name nothing, where they have one of their own."""
    out_of_scope: Literal["keep", "escalate"] = "keep"
    doubts: Literal["escalate", "keep"] = "escalate"
    """What becomes of an answer that its model doubts, whatever else decides."""
    uncalibrated: Literal["escalate", "keep"] = "escalate"
    uncalibrated_keep_at: float | None = None
    """The `keep_at` of a model without a calibration that was not measured; None where none of its answers is kept."""
    review: ReviewPolicy | None = None
    """Which of the kept answers are reviewed; None: none."""
    review_model: str | None = None
    """The model whose own section has that review; None: all models without one share it."""
    on_alarm: OnAlarm = "tell"
    """What an alarm does to its answers."""
    unit: Literal["text", "entity"] = "text"
    """What must reach the goal: the whole answer, or of one with names, that none is missed; then each name is marked
    that does not."""
    missed: Literal["escalate", "allow"] = "escalate"
    """What becomes of an answer by its names that may have missed one."""

    @property
    def by_names(self) -> str:
        """Return in words that it goes by the names; empty where it does not."""
        if self.unit == "text":
            return ""
        return " for each name, missed ones allowed" if self.missed == "allow" else " for each name"

    def __str__(self) -> str:
        """Return it in words, as `goal 0.97, certified`."""
        if self.keep_at is not None:
            words = f"keep_at {self.keep_at:g}"
        elif self.goal is None:
            words = "the model's recommended goal"
        else:
            words = f"goal {self.goal:g}{', certified' if self.evidence == 'certified' else ''}"
        words = f"{words}{self.by_names}{', doubted ones kept' if self.doubts == 'keep' else ''}"
        return words if self.none_goal is None else f"{words}, without a label goal {self.none_goal:g}"


class KeepSection(PolicySection):
    """A goal, or a fixed confidence."""

    # Repeated, because pydantic reads the description next to the union, not inside it.
    goal: Annotated[Goal | None, Field(description=GOAL)] = None
    evidence: Annotated[Evidence | None, Field(description=_EVIDENCE)] = None
    keep_at: Annotated[KeepAt | None, Field(description=_KEEP_AT)] = None

    @property
    def decides(self) -> bool:
        """Whether it says from where on answers are kept."""
        return self.goal is not None or self.keep_at is not None

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if self.goal is not None and self.keep_at is not None:
            raise wrong("keep_at", "a goal stands beside it; keep one of the two")
        if self.evidence is not None and self.goal is None:
            raise wrong("evidence", "no goal stands beside it; add one, as goal: 0.97")
        return self


class LanguagePolicy(KeepSection):
    """What differs for the texts in one language."""


class _Rules(KeepSection):
    """What holds for a task or one of its models."""

    uncalibrated: Annotated[Literal["escalate", "keep"] | None, Field(description=_UNCALIBRATED)] = None
    uncalibrated_keep_at: Annotated[KeepAt | None, Field(description=_UNCALIBRATED_KEEP_AT)] = None
    review: Annotated[ReviewPolicy | None, Field(description=REVIEW)] = None
    on_alarm: Annotated[OnAlarm | None, Field(description=ON_ALARM)] = None

    @property
    def by_language(self) -> Mapping[str, KeepSection]:
        """What differs by language."""
        return {}

    def deciding(self, language: str) -> Iterator[KeepSection]:
        """Return what of it decides on texts in a language without region, the narrowest first."""
        yield from (each for each in (self.by_language.get(language), self) if each is not None and each.decides)

    @model_validator(mode="after")
    def _has_a_number_for_uncalibrated(self) -> Self:
        if self.uncalibrated_keep_at is not None:
            if self.uncalibrated != "keep":
                raise wrong("uncalibrated_keep_at", "it needs `uncalibrated: keep` beside it")
            if self.keep_at is not None:
                raise wrong("uncalibrated_keep_at", "keep_at decides already; keep one of the two")
        elif self.uncalibrated == "keep" and self.keep_at is None:
            raise wrong("uncalibrated", "keep needs a number beside it: keep_at, or uncalibrated_keep_at with a goal")
        return self


class _RulesByLanguage(_Rules):
    """Such rules, and what differs by language."""

    replaced: ClassVar[Mapping[str, str]] = {"keep_at_by_language": "languages: {de: {keep_at: 0.95}}"}
    languages: Annotated[Mapping[Language, LanguagePolicy], Field(description=_LANGUAGES)] = {}

    @property
    def by_language(self) -> Mapping[str, KeepSection]:
        """What differs by language."""
        return self.languages


class NoneGoal(PolicySection):
    """A goal for the answers that no label fits."""

    goal: Goal


OutOfScope = Annotated[
    Annotated[Literal["keep", "escalate"], Tag("[word]")] | Annotated[NoneGoal, Tag("[section]")],
    Discriminator(lambda given: "[section]" if isinstance(given, dict | NoneGoal) else "[word]"),
]


class ModelPolicy(_RulesByLanguage):
    """What differs for one model of a task; missing fields are those of the task."""


class IntentModelPolicy(ModelPolicy):
    """What differs for one model of a task with labels."""

    out_of_scope: Annotated[OutOfScope | None, Field(description=OUT_OF_SCOPE)] = None
    doubts: Annotated[Doubts | None, Field(description=DOUBTS)] = None


class _NameRules(_Rules):
    """Whether an answer is kept as a whole, or by its names."""

    unit: Annotated[Literal["text", "entity"] | None, Field(description=_UNIT)] = None
    missed: Annotated[Literal["escalate", "allow"] | None, Field(description=_MISSED)] = None

    @model_validator(mode="after")
    def _has_names_to_miss(self) -> Self:
        if self.missed is not None and self.unit != "entity":
            raise wrong("missed", "it needs `unit: entity` beside it: of a whole text, no name may be missed")
        return self


class NerModelPolicy(_NameRules, ModelPolicy):
    """What differs for one model of names."""


class TaskRules(_Rules):
    """When the answers of a task are good enough: a section of the policy, or the task's own file."""

    models: Annotated[Mapping[NamedModel, ModelPolicy], Field(description=BY_MODEL)] = {}
    _section: "TaskRules | None" = PrivateAttr(None)

    @property
    def has_small_model(self) -> bool:
        """Whether a small model can answer it; not where a task's own file says otherwise."""
        return True

    @property
    def has_levels(self) -> bool:
        """Whether a goal decides which answers are kept; not of personal data, unless it was measured, and texts."""
        return True

    @property
    def has_labels(self) -> bool:
        """Whether its answers are labels."""
        return False

    @property
    def has_several_labels(self) -> bool:
        """Whether several of them may apply."""
        return False

    def below(self, section: "TaskRules | None") -> Self:
        """Return the rules of a task's file below those of the section that the policy has for it."""
        copy = self.model_copy()
        copy._section = section  # noqa: SLF001 - its own
        return copy

    @property
    def named_models(self) -> tuple[str, ...]:
        """The models with rules of their own."""
        above = {} if self._section is None else self._section.models
        return tuple({**above, **self.models})

    def named_languages(self, model: str) -> tuple[str, ...]:
        """Return the languages with rules of their own that hold for a model, or would without narrower ones."""
        return tuple(sorted({language for place in self._places(model) for language in place.by_language}))

    def rule(self, model: str, language: str) -> KeepRule:
        """Return which answers are kept; the narrowest place wins.

        Args:
            model: its name, as texts ask for it.
            language: of the text, BCP 47: `de` also stands for `de-AT`.
        """
        places = tuple(self._places(model))
        subtag = primary_subtag(language)
        found = next((each for place in places for each in place.deciding(subtag)), KeepSection())
        given = (getattr(place, "out_of_scope", None) for place in places)
        outside: Literal["keep", "escalate"] | NoneGoal = next(filter(None, given), "keep")
        doubted = (getattr(place, "doubts", None) for place in places)
        doubts: Doubts = next(filter(None, doubted), "escalate")
        unfitted = next((place for place in places if place.uncalibrated is not None), None)
        keeps = unfitted is not None and unfitted.uncalibrated == "keep"
        reviewed = next((place for place in places if place.review is not None), None)
        named = next((each for each in places if isinstance(each, _NameRules) and each.unit is not None), None)
        return KeepRule(
            goal=found.goal,
            evidence=found.evidence or "estimated",
            keep_at=found.keep_at,
            none_goal=outside.goal if isinstance(outside, NoneGoal) else None,
            out_of_scope="keep" if isinstance(outside, NoneGoal) else outside,
            doubts=doubts,
            uncalibrated="keep" if keeps else "escalate",
            uncalibrated_keep_at=_number(unfitted) if keeps else None,
            review=None if reviewed is None else reviewed.review,
            review_model=model if isinstance(reviewed, ModelPolicy) else None,
            on_alarm=next((place.on_alarm for place in places if place.on_alarm is not None), "tell"),
            unit="text" if named is None else named.unit or "text",
            missed="escalate" if named is None else named.missed or "escalate",
        )

    def rules_by_model(self) -> tuple[KeepRule, ...]:
        """Return the rule of each model with rules of its own and that of all others, for texts in any language."""
        return tuple(self.rule(model, "") for model in ("", *self.named_models))

    def reviews(self) -> Iterator[tuple[tuple[str, ...], ReviewPolicy]]:
        """Return the reviews of this section, each with the path of its own section below this one."""
        if self.review is not None:
            yield ("review",), self.review
        for name, model in self.models.items():
            if model.review is not None:
                yield ("models", name, "review"), model.review

    def _places(self, model: str) -> Iterator[_Rules]:
        """Return the places that speak of a model, the narrowest first."""
        for rules in filter(None, (self._section, self)):
            if model in rules.models:
                yield rules.models[model]
            yield rules


def _number(rules: _Rules | None) -> float | None:
    """Return the number that stands beside `uncalibrated: keep`."""
    if rules is None:
        return None
    return rules.keep_at if rules.uncalibrated_keep_at is None else rules.uncalibrated_keep_at


class TaskPolicy(TaskRules, _RulesByLanguage):
    """A section of the policy."""


class IntentPolicy(TaskPolicy):
    """The policy of every task, plus what to do with a text outside every known intent."""

    out_of_scope: Annotated[OutOfScope | None, Field(description=OUT_OF_SCOPE)] = None
    doubts: Annotated[Doubts | None, Field(description=DOUBTS)] = None
    models: Annotated[Mapping[NamedModel, IntentModelPolicy], Field(description=BY_MODEL)] = {}

    @property
    def has_labels(self) -> bool:
        """Whether its answers are labels."""
        return True


class NerPolicy(_NameRules, TaskPolicy):
    """The policy of every task, plus whether a whole text or each name must reach the goal."""

    models: Annotated[Mapping[NamedModel, NerModelPolicy], Field(description=BY_MODEL)] = {}

    @model_validator(mode="after")
    def _has_a_goal_for_each_name(self) -> Self:
        """Refuse `unit: entity` where a text alone can be judged: names have no certificate, and no confidence."""
        for model in ("", *self.named_models):
            for language in ("", *self.named_languages(model)):
                rule = self.rule(model, language)
                if rule.unit != "entity" or (rule.keep_at is None and rule.evidence == "estimated"):
                    continue
                places = ", ".join(filter(None, (model and f"model {model}", language)))
                where = f" ({places})" if places else ""
                asked = "evidence: certified" if rule.keep_at is None else "keep_at"
                why = "only whole texts are certified" if rule.keep_at is None else "names are judged by a goal"
                field = "unit" if self.unit is not None else "models"
                raise wrong(field, f"`unit: entity` cannot stand with `{asked}`{where}: {why}; take one of the two out")
        return self


_FIELDS: dict[str, Any] = {
    task: (Annotated[TaskPolicy, Field(description=TASK_FIELDS)], TaskPolicy()) for task in TASKS
} | {
    "intent": (Annotated[IntentPolicy, Field(description=f"{TASK_FIELDS}, out_of_scope, doubts")], IntentPolicy()),
    "ner": (Annotated[NerPolicy, Field(description=f"{TASK_FIELDS}, unit, missed")], NerPolicy()),
}
_OwnTasks = create_model("_OwnTasks", __base__=PolicySection, **_FIELDS)
"""The sections of the tasks of this version."""


class TaskPolicies(_OwnTasks):
    """One section for each task, also those from files; a missing one has the defaults."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, IntentPolicy]

    @property
    def of_files(self) -> Mapping[str, IntentPolicy]:
        """The sections of tasks that are not of this version."""
        return MappingProxyType(self.__pydantic_extra__ or {})
