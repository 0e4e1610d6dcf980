"""The tiers of the policy: which models a hard case is put to, in which order, and where they run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sprat_contracts.base import TASK_NAME
from sprat_policy.section import PolicySection, VariableReference
from sprat_policy.task_policy import KeepSection

FRONTIER: Final = "frontier"
"""The preset of the model that the settings of the frontier service name."""
INSIDE: Final = "inside"
"""The region of a tier inside the house."""
MAX_TIERS: Final = 8
_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_TASK: Final = TASK_NAME.pattern
_WITHOUT_SERVER: Final = "generalist"
"""A preset of an earlier version, whose server Sprat no longer has."""
_CLOUD: Final = ("-cloud", ":cloud")
"""How the names of Ollama's models end that it does not run itself, but sends to ollama.com."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a kind of server."""

    provider: str
    """As in gen_ai.provider.name."""
    takes: Literal["nothing", "model", "url"]
    """What stands behind the colon."""
    url: str | None = None
    model: str | None = None
    region: str | None = None
    own: bool = False
    """Whether people run it on machines of their own, where a call has no price."""
    key: bool = False
    """Whether it answers nobody without a key."""
    logprobs: bool = True
    """Whether it can tell the probabilities of its answers."""
    api: Literal["chat", "llamacpp", "decisions", "systemone"] = "chat"


PRESETS: Final = {
    FRONTIER: Preset("", "nothing"),
    "ollama": Preset("ollama", "model", url="http://127.0.0.1:11434/v1", own=True),
    "vllm": Preset("vllm", "url", own=True),
    "llamacpp": Preset("llama_cpp", "url", model="default", own=True, api="llamacpp"),
    "mistral": Preset(
        "mistral_ai",
        "nothing",
        url="https://api.mistral.ai/v1",
        model="mistral-medium-latest",
        region="eu",
        key=True,
        logprobs=False,
    ),
    "openai": Preset("openai", "model", url="https://api.openai.com/v1"),
    "decisions": Preset("openai", "model", url="https://api.openai.com/v1", api="decisions"),
    "systemone": Preset("systemone", "url", api="systemone"),
}
_FORMS: Final = ", ".join(
    name if each.takes == "nothing" else f"{name}:{each.takes.upper()}" for name, each in PRESETS.items()
)


class TierPrice(PolicySection):
    """What a model costs, in euros for a million tokens."""

    input_eur: Annotated[float, Field(ge=0, le=10_000, description="euros for a million tokens of the question")]
    output_eur: Annotated[float, Field(ge=0, le=10_000, description="euros for a million tokens of the answer")]


class TierCalibration(PolicySection):
    """What a probability that the tier's model states for its label means: bias and slope of a logistic regression.

    Of whether the label is right, on the log-odds of what the model states (Platt scaling).
    """

    bias: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False, description="a number from -100 to 100")]
    slope: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, description="a number from 0 to 100")]
    model: Annotated[str, Field(min_length=1, max_length=256, description="the model that it was measured with")]
    texts: Annotated[int, Field(ge=1, description="on how many answers it was measured")]


class TierPolicy(KeepSection):
    """One tier. What is left out is the preset's; what the preset does not know, the frontier service's."""

    preset: Annotated[str, Field(max_length=2_000, description=f"one of {_FORMS}")]
    name: Annotated[
        str | None,
        Field(pattern=_NAME, description="how Results call it: small letters, digits, '.', '_' and '-'"),
    ] = None
    url: Annotated[
        str | None, Field(max_length=2_000, description="of its API, with the version path, as http://gpu:8000/v1")
    ] = None
    model: Annotated[str | None, Field(min_length=1, max_length=256, description="the model's name there")] = None
    provider: Annotated[str | None, Field(pattern=_NAME, description="who serves it, as the audit names it")] = None
    region: Annotated[
        str | None,
        Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="where it runs: a region as the tenants name it"),
    ] = None
    api_key: Annotated[
        VariableReference | None,
        Field(repr=False, description="the variable of the environment with its key, as '${SPRAT_TIER_KEY}'"),
    ] = None
    price: Annotated[TierPrice | None, Field(description="the fields input_eur, output_eur")] = None
    timeout_s: Annotated[
        float | None, Field(gt=0, le=600, allow_inf_nan=False, description="seconds for one call, at most 600")
    ] = None
    concurrency: Annotated[int | None, Field(ge=1, le=1000, description="calls at the same time, 1 to 1000")] = None
    mask: Annotated[
        bool, Field(description="true: it gets masked texts, also where the tenant lets them go whole, and inside")
    ] = False
    keep_at: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="a confidence from 0 to 1; a label below it, or without one, goes to the next tier",
        ),
    ] = None
    calibration: Annotated[
        Mapping[Annotated[str, Field(pattern=_TASK, description="a task")], TierCalibration],
        Field(description="by task, what its confidence means for keep_at: the fields bias, slope, model, texts"),
    ] = {}
    share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            allow_inf_nan=False,
            description="above 0, at most 1: the share of the time left that it may take while another tier follows",
        ),
    ] = 0.5
    group: Annotated[
        str | None,
        Field(pattern=_NAME, description="tiers below each other with the same group are one, with several providers"),
    ] = None
    weight: Annotated[
        int, Field(ge=1, le=1000, description="1 to 1000: which share of the texts goes to it first in its group")
    ] = 1
    tasks: Annotated[
        tuple[Annotated[str, Field(pattern=_TASK)], ...],
        Field(description="a list of the tasks that it is for, as [intent]; left out: all"),
    ] = ()
    tenants: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=256)], ...],
        Field(description="a list of the tenants that it is for, by their sections; left out: all"),
    ] = ()

    @property
    def scheme(self) -> str:
        """The preset's name."""
        return self.preset.partition(":")[0]

    @property
    def known(self) -> Preset:
        """What is known of its kind of server."""
        return PRESETS[self.scheme]

    @property
    def label(self) -> str:
        """How Results call it."""
        return self.name or self.scheme

    @property
    def base_url(self) -> str | None:
        """Where its API is; None for the one of the settings."""
        argument = self.preset.partition(":")[2]
        url = self.url or (argument if self.known.takes == "url" else self.known.url)
        return None if url is None else url.rstrip("/")

    @property
    def model_name(self) -> str | None:
        """The model's name there; None for the one of the settings."""
        argument = self.preset.partition(":")[2]
        return self.model or (argument if self.known.takes == "model" else self.known.model)

    @property
    def host(self) -> str | None:
        """The host name of its server, in small letters; None for the one of the settings."""
        return None if self.base_url is None else (urlsplit(self.base_url).hostname or "").lower()

    @property
    def region_name(self) -> str | None:
        """Where it runs; None where the policy does not say."""
        return self.region or self.known.region

    @property
    def provider_name(self) -> str:
        """Who serves it, as the audit names it.

        The provider of a preset is that of the preset's own address. At another one the tier's name stands for it,
        without a name that it only speaks the provider's API.
        """
        elsewhere = self.url is not None and not self.known.own and self.known.url not in {None, self.base_url}
        return self.provider or (self.name or f"{self.scheme}-compatible" if elsewhere else self.known.provider)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it says where it runs, and that is not inside the house."""
        return self.region_name not in {None, INSIDE}

    @property
    def keeps(self) -> str:
        """What of its answers is kept, in words."""
        if self.goal is not None:
            return f"labels by goal {self.goal:g}{', certified' if self.evidence == 'certified' else ''}"
        if self.keep_at is None:
            return "every valid answer"
        of = f", calibrated for {', '.join(sorted(self.calibration))}" if self.calibration else ""
        return f"labels by keep_at {self.keep_at:g}{of}"

    @property
    def is_of_one_label(self) -> bool:
        """Whether it is a decision model, which is for tasks of one label a text alone."""
        return self.known.api in {"decisions", "systemone"}

    def takes(self, section: str, task: str) -> bool:
        """Return whether it may be asked about the texts of a section of the policy, for a task."""
        return (not self.tasks or task in self.tasks) and (not self.tenants or section in self.tenants)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        known = PRESETS.get(self.scheme)
        if self.scheme == _WITHOUT_SERVER:
            raise _wrong(
                "preset: Sprat has no generalist service any more; serve the model with llama.cpp, `llama-server -m "
                "MODEL.gguf --jinja`, and write preset: 'llamacpp:http://HOST:8080/v1'"
            )
        if known is None or (":" in self.preset) != (known.takes != "nothing") or self.preset.endswith(":"):
            raise _wrong(f"preset: no such preset; expected: one of {_FORMS}")
        problems = self._misplaced() if self.scheme == FRONTIER else self._missing()
        for problem in problems:
            raise _wrong(problem)
        return self

    def _misplaced(self) -> Iterator[str]:
        """Return what is wrong with a tier that is the model of the settings."""
        for field in ("url", "model", "provider", "region", "api_key", "price", "timeout_s", "concurrency"):
            if field in self.model_fields_set:
                yield f"the preset frontier is the model of the settings (SPRAT_FRONTIER__…); take out {field}"

    def _missing(self) -> Iterator[str]:
        """Return what is wrong with a tier that has an endpoint of its own."""
        known = self.known
        if problem := problem_of_url(self.base_url or "", "api_key, as '${SPRAT_TIER_KEY}'"):
            yield f"its URL {problem}"
        if self.model_name is None:
            yield f"{self.scheme} needs `model`: the name of the model there"
        if self.price is None and not known.own:
            yield (
                f"{self.scheme} needs `price`, as {{input_eur: 0.4, output_eur: 2}}: euros for a million tokens; for a "
                "server of your own {input_eur: 0, output_eur: 0}"
            )
        if self.api_key is None and known.key:
            yield f"{self.scheme} needs `api_key`: the variable with its key, as '${{SPRAT_TIER_KEY}}'"
        if self.decides and not known.logprobs:
            yield f"{self.scheme} tells no probabilities, so nothing would be kept; take goal and keep_at out"
        if self.model_name is not None:
            yield from self.problems_of_calibration(self.model_name)

    def problems_of_calibration(self, model: str) -> Iterator[str]:
        """Return which calibrations are another model's than the one that answers."""
        for task, each in self.calibration.items():
            if each.model != model:
                yield (
                    f"calibration.{task} was measured with the model {each.model}, and the tier's is {model}; measure "
                    "it by sprat tiers calibrate and give the tier a goal, or take it out"
                )


def tier_thresholds(policy: Path, tier: str, task: str) -> Path:
    """Return where it stands what a tier's answers to a task are worth: beside the policy file."""
    return policy.parent / "thresholds" / f"{tier}.{task}.json"


def is_relayed(model: str) -> bool:
    """Return whether a model has the name of one that Ollama sends to ollama.com, whatever API it is asked by."""
    return model.strip().lower().endswith(_CLOUD)


def taken_inside(host: str) -> str:
    """Return what `inside` does to a server on one of its hosts that is said to be elsewhere, and what to do."""
    taken = f"`inside` takes every server on {host} inside: it gets texts whole, those of deny, too, and nothing is in "
    if host == "localhost":  # so `sprat up` reaches its simulator
        return f"{taken}the audit. List 127.0.0.1 instead, and reach what is inside by that"
    return (
        f"{taken}the audit. Reach what is not inside by another name of the host (localhost for 127.0.0.1), or write "
        "no region for it (of the frontier: inside)"
    )


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("tier", "{problem}", {"problem": problem})


def problem_of_url(url: str, key: str) -> str | None:
    """Return why the address of an API cannot be used; it does not quote it, for somebody may write a key there.

    Args:
        url: the address.
        key: where a key goes instead.
    """
    if not url.isprintable() or any(map(str.isspace, url)):  # some of which urlsplit takes out
        return "holds blanks or control characters"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        readable = parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        return "cannot be read; its port is a number from 1 to 65535"
    if parts.scheme not in {"http", "https"} or not host:
        return "is not of the form http://host:port/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return f"holds credentials, a query or a fragment; a key goes to {key}"
    return None
