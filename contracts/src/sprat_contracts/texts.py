"""`TextSubmitted`: what an upstream system publishes."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json, to_json

from sprat_contracts.base import OWN_TASKS, TASK_NAME, TASKS, Message, Part, Probability
from sprat_contracts.codes import ReasonCode
from sprat_contracts.languages import DEFAULT_LANGUAGE, LanguageTag

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FrontierRule = Literal["allow", "redact", "deny"]
_RULES: Final = ("allow", "redact", "deny")

MAX_DEPTH = 64
"""How deep fields unknown to this version may nest. Every hop nests a text deeper, and JSON readers have limits: what
is accepted here must be readable in the last message that carries it."""

_MODEL = Field(description="The model of the task that should answer.")
MAX_ASKED_LABELS: Final = 1_000
_LABELS = Field(
    strict=False,
    min_length=1,
    max_length=MAX_ASKED_LABELS,
    description="The labels to choose from, some of the task's own; null: all of them. Only of a task whose answer is "
    "a label, or several.",
)


class TaskOptions(Part):
    """The options that every task has."""

    model: Annotated[ModelName, _MODEL] = "default"
    labels: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None, _LABELS] = None

    @model_serializer(mode="wrap")
    def _as_asked(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no `labels` where all are asked for: stored answers have keys of the options' JSON."""
        return {name: value for name, value in handler(self).items() if name != "labels" or value is not None}


class TranslationOptions(TaskOptions):
    """The options of a translation."""

    target: Annotated[LanguageTag, Field(description="Language to translate into, BCP 47; `pt_BR` is read as `pt-BR`.")]


_OPTIONS: Final[Mapping[str, type[TaskOptions]]] = {"translation": TranslationOptions}
"""Form of a task's output → its options, where they are more than those of every task."""
_FIELDS: dict[str, Any] = {
    name: (Annotated[_OPTIONS.get(task.form, TaskOptions) | None, Field(description=task.asks)], None)
    for name, task in OWN_TASKS.items()
}
_OwnTasks = create_model("_OwnTasks", __base__=Part, **_FIELDS)
"""The fields of the tasks of this version."""


_NEEDED = "at least one known task is needed: "


_MOST_HINTS: Final = 8
"""So many unknown task names are compared with the known ones: a text may name tens of thousands."""


def unknown_names(names: Sequence[str], known: Collection[str]) -> str:
    """Return how many names are unknown, with the known ones that were probably meant. It quotes none of `names`."""
    meant = {task: None for name in names[:_MOST_HINTS] for task in get_close_matches(name.lower(), known, n=1)}
    return f"{len(names)} unknown" + (f", did you mean {' or '.join(meant)}?" if meant else "")


def _accept_added_tasks(schema: dict[str, Any]) -> None:
    """Describe the tasks that an installation adds beside those of this version."""
    schema["anyOf"] = [
        *({"required": [task], "properties": {task: {"type": "object"}}} for task in TASKS),
        {
            "description": "Or a task that the installation has added: of such a name, and an object.",
            "not": {"patternProperties": {TASK_NAME.pattern: {"not": {"type": "object"}}}},
        },
    ]


def _without_default(schema: dict[str, Any]) -> None:
    """Leave the default out of the schema of a field: it is the installation's, and programs would fill in another."""
    schema.pop("default", None)


class Tasks(_OwnTasks):
    """The requested tasks, each with its options: at least one known task; unknown ones are reported and ignored.

    An installation may add tasks to those of this version. They are extra fields here: which of them it knows, only its
    services can say, by their `TaskTable`.
    """

    model_config = ConfigDict(json_schema_extra=_accept_added_tasks)

    @model_validator(mode="after")
    def _at_least_one(self) -> "Tasks":
        if not any(getattr(self, name) for name in TASKS) and not any(self.options(name) for name in self.unknown):
            nulls = [task for task in TASKS if task in self.model_fields_set]
            example = '{"target": "de"}' if nulls[:1] == ["translation"] else "{}"
            hint = f'; null counts as not asked, write {{"{nulls[0]}": {example}}}' if nulls else ""
            if any(TASK_NAME.fullmatch(name) for name in self.unknown):
                detail = 'the options of a task are an object: write {"name": {}}'
                raise PydanticCustomError(ReasonCode.NO_KNOWN_TASK.value, "{problem}", {"problem": detail + hint})
            unknown = [name for name in self.unknown if not TASK_NAME.fullmatch(name)]
            counted = f"{unknown_names(unknown, TASKS)}; " if unknown else ""
            raise PydanticCustomError(
                ReasonCode.NO_KNOWN_TASK.value, "{problem}", {"problem": f"{counted}{_NEEDED}{', '.join(TASKS)}{hint}"}
            )
        return self

    @model_serializer(mode="wrap")
    def _requested(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: options for name, options in handler(self).items() if options is not None or name not in TASKS}

    @property
    def known(self) -> dict[str, TaskOptions]:
        """The requested tasks of this version, by name."""
        return self.known_to(TASKS)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of requested tasks that are not of this version."""
        return tuple(name for name, given in (self.model_extra or {}).items() if given is not None)

    def known_to(self, tasks: Iterable[str]) -> dict[str, TaskOptions]:
        """Return the requested tasks among `tasks`, in their order; those with options that cannot be read are none."""
        return {name: options for name in tasks if (options := self.options(name)) is not None}

    def unknown_to(self, tasks: Container[str]) -> tuple[str, ...]:
        """Return the names of requested tasks that are not among `tasks`."""
        return tuple(name for name in self.unknown if name not in tasks)

    def options(self, task: str) -> TaskOptions | None:
        """Return the options of a requested task; None where it is not requested, or they cannot be read.

        An added task has the options of every task. Whether an installation has such a task is not asked here.
        """
        if task in OWN_TASKS:
            options: TaskOptions | None = getattr(self, task)
            return options
        given = (self.model_extra or {}).get(task)
        if not isinstance(given, dict) or not TASK_NAME.fullmatch(task):
            return None
        try:
            return TaskOptions.model_validate(given)
        except ValidationError:
            return None


class LanguageDetected(Part):
    """The language that a text was read in whose language is `auto`, as it is where it names none."""

    language: Annotated[
        LanguageTag,
        Field(
            description="BCP 47. Where none was sure enough: the installation's default, or the model's one language."
        ),
    ]
    confidence: Annotated[Probability, Field(description="Calibrated probability, 0–1, that it is the text's.")]


class TextWarning(Part):
    """What of a text was not understood."""

    code: Annotated[str, Field(min_length=1, description="Open list: unknown_field, unknown_value, no_service.")]
    detail: Annotated[
        str,
        Field(description="Field and reason, for people: `tenent, did you mean tenant?`; no value but a model's name."),
    ] = ""


class TextSubmitted(Message):
    """A text and the requested tasks."""

    event_type: ClassVar[str] = "dev.sprat.text.submitted.v1"
    plain_json_allowed: ClassVar[bool] = True
    max_bytes: ClassVar[int | None] = 512 * 1024

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=20_000,
            description="The text: 1–20,000 code points, not all of them white space.",
            json_schema_extra={"pattern": r"\S"},
        ),
    ]
    tasks: Annotated[Tasks, Field(description="The tasks to do.")]
    language: Annotated[
        LanguageTag,
        Field(
            description="Language of the text, BCP 47; `en_US` is read as `en-US`. `auto`: to be detected. Where it is "
            "missing: the installation's default, which is `auto` unless its owner sets another.",
            json_schema_extra=_without_default,
        ),
    ] = DEFAULT_LANGUAGE
    tenant: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
            description="Whose budget and policy. The policy may bind it to sources and ask for a signature.",
        ),
    ] = "default"
    frontier: Annotated[
        FrontierRule,
        Field(
            description="Whether a hard case may leave the perimeter: whole (`allow`), with personal data masked "
            "(`redact`) or not at all (`deny`). Anything else counts as `deny`. The stricter of this and the tenant's "
            "policy applies."
        ),
    ] = "redact"
    deadline_ms: Annotated[
        int | None,
        Field(gt=0, le=604_800_000, description="Milliseconds after arrival that a hard case may wait for a frontier."),
    ] = None
    reference: Annotated[
        Mapping[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=256)]] | None,
        Field(max_length=16, description="The upstream's own keys and values, returned untouched."),
    ] = None

    def parts(self) -> list[tuple[str, Part]]:
        """Return what has fields: the text itself, and the options of its tasks of this version, each with its path."""
        return [("", self), *((f"tasks.{task}.", options) for task in TASKS if (options := getattr(self.tasks, task)))]

    @property
    def names_language(self) -> bool:
        """Whether the sender has named a language, or `auto`."""
        return "language" in self.model_fields_set

    def read_in(self, language: str) -> "TextSubmitted":
        """Return the text in `language` where it names none. It still counts as one that names none."""
        if self.names_language or self.language == language:
            return self
        text = self.model_copy(update={"language": language})
        text.model_fields_set.discard("language")
        return text

    @field_validator("text")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise PydanticCustomError("blank_text", "the text is blank")
        return text

    @model_validator(mode="after")
    def _can_be_carried(self) -> "TextSubmitted":
        """Reject unknown fields that would not reach the last message unchanged."""
        level = [value for _, part in (*self.parts(), ("", self.tasks)) for value in (part.model_extra or {}).values()]
        depth = 0
        while level:
            if any(isinstance(value, float) and not isfinite(value) for value in level):
                raise PydanticCustomError("not_finite", "a number in an unknown field is not finite, which is no JSON")
            if depth == MAX_DEPTH and any(isinstance(value, dict | list) for value in level):
                raise PydanticCustomError("too_deep", f"unknown fields nest more than {MAX_DEPTH} levels deep")
            level = [inner for outer in level for inner in _inside(outer)]
            depth += 1
        return self

    @field_validator("frontier", mode="before")
    @classmethod
    def _anything_else_is_deny(cls, rule: object, info: ValidationInfo) -> object:
        if rule in _RULES:
            return rule
        if isinstance(info.context, list):
            detail = "frontier: none of allow, redact and deny; counts as deny"
            info.context.append(TextWarning(code=ReasonCode.UNKNOWN_VALUE, detail=detail))
        return "deny"


def without_nulls(value: bytes) -> bytes:
    """Return the JSON of a text without its optional fields that are `null`: they count as absent.

    Jackson and others write each field that nobody has set. `null` stays in mandatory and unknown fields, and for a
    task, where it says "not asked". JSON that is no object, or cannot be read, is returned as it is. The JSON Schema
    does not say so, because what it allows must not grow within a version.
    """
    try:
        text = from_json(value)
    except ValueError:
        return value
    if not isinstance(text, dict):
        return value
    fields = _without_nulls(text, TextSubmitted)
    if isinstance(tasks := fields.get("tasks"), dict):
        fields["tasks"] = {
            name: _without_nulls(options, TaskOptions) if isinstance(options, dict) else options
            for name, options in tasks.items()
        }
    return to_json(fields, inf_nan_mode="constants")


def _without_nulls(given: dict[str, Any], part: type[Part]) -> dict[str, Any]:
    fields = part.model_fields
    return {
        name: value
        for name, value in given.items()
        if value is not None or name not in fields or fields[name].is_required()
    }


def _inside(value: object) -> Iterable[object]:
    """Return the values directly inside a JSON array or object; nothing for other values."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
