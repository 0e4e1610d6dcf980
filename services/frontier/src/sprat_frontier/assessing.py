"""Asks a frontier model about many texts at once, outside any stream: for `sprat assess`.

Prompt and masking are those of the service, so the answers are those that the service would get.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sprat.errors import UserError
from sprat.perimeter import Finder, NotVerified
from sprat.perimeter import mask as masked
from sprat_contracts import IntentOutput
from sprat_frontier.ports import ProviderAnswer, ProviderError
from sprat_frontier.pricing import cost_eur
from sprat_frontier.provider import OpenAIProvider
from sprat_frontier.questions import FrontierQuestion
from sprat_frontier.settings import FrontierSettings, Price

_TRIES: Final = 3
_PAUSE_S: Final = 1.0
_FAILURES: Final = 20
"""In a row. Then nobody is there, or it wants another key: asking on would only cost time."""

Answers = tuple[list[str | None], list[float]]


def ask_all(
    texts: Sequence[str],
    labels: tuple[str, ...],
    *,
    language: str,
    url: str,
    model: str,
    price: str,
    finders: Sequence[Finder],
    outside: str,
    progress: Callable[[int], None],
) -> Answers:
    """Give the label and the cost in euros of each text; None where there is no usable answer, or nothing may leave.

    Args:
        texts: what to ask about.
        labels: to choose from.
        language: of the texts.
        url: of the API, with its version path. Its key is `SPRAT_FRONTIER__API_KEY`.
        model: which one to ask there.
        price: euros for a million tokens, as "0.4/2".
        finders: who finds what is personal.
        outside: what is given for "none of the labels".
        progress: gets the number of texts that are done.

    Raises:
        UserError: the settings cannot be used, or nobody answers.
    """
    settings = _settings(url, model)
    return asyncio.run(_ask_all(texts, labels, language, settings, _price(price), finders, outside, progress))


async def _ask_all(
    texts: Sequence[str],
    labels: tuple[str, ...],
    language: str,
    settings: FrontierSettings,
    price: Price,
    finders: Sequence[Finder],
    outside: str,
    progress: Callable[[int], None],
) -> Answers:
    provider = OpenAIProvider(settings)
    found: list[str | None] = [None] * len(texts)
    costs = [0.0] * len(texts)
    waiting = iter(enumerate(texts))
    done = failed = 0

    async def work() -> None:
        nonlocal done, failed
        for place, text in waiting:
            try:
                leaving = await asyncio.to_thread(masked, text, language, tuple(finders))
            except NotVerified:
                done += 1
                continue
            question = FrontierQuestion("intent", leaving.text, language, "assessment", labels, None, "", "")
            answer = await _ask(provider, question)
            usage = answer.usage
            costs[place] = cost_eur(price, usage)
            if isinstance(answer, ProviderAnswer) and isinstance(answer.output, IntentOutput):
                found[place] = answer.output.label if answer.output.label is not None else outside
                failed = 0
            elif (failed := failed + 1) >= _FAILURES:
                raise UserError(
                    f"--frontier {settings.base_url}: {failed} calls in a row failed, the last with {answer}"
                )
            done += 1
            progress(done)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings.concurrency, len(texts))):
                group.create_task(work())
    except* UserError as errors:
        raise errors.exceptions[0] from None
    finally:
        await provider.close()
    return found, costs


async def _ask(provider: OpenAIProvider, question: FrontierQuestion) -> ProviderAnswer | ProviderError:
    prepared = provider.prepare(question)
    for attempt in range(_TRIES):
        try:
            return await provider.ask(prepared)
        except ProviderError as error:
            if not error.retryable or attempt == _TRIES - 1:
                return error
            await asyncio.sleep(error.retry_after_s or _PAUSE_S * 2**attempt)
    raise AssertionError("unreachable")


class _Key(BaseSettings):
    """The key is taken from where the service takes it, so that it stands in no list of commands."""

    model_config = SettingsConfigDict(env_prefix="SPRAT_FRONTIER__", env_file=".env", extra="ignore")

    api_key: SecretStr | None = None


def _settings(url: str, model: str) -> FrontierSettings:
    try:
        return FrontierSettings(
            base_url=url, model=model, provider="assessed", region="assessed", api_key=_Key().api_key
        )
    except ValidationError as error:
        (problem, *_) = error.errors(include_input=False, include_url=False)
        where = {"base_url": "--frontier", "model": "--frontier-model"}.get(
            str(problem["loc"][:1] and problem["loc"][0])
        )
        raise UserError(f"{where or 'SPRAT_FRONTIER__API_KEY'}: {problem['msg']}") from None


def _price(said: str) -> Price:
    try:
        input_eur, output_eur = (float(part) for part in said.split("/"))
        return Price(input_eur=input_eur, output_eur=output_eur)
    except ValueError:  # pydantic's error is one, too
        raise UserError(f"--frontier-price {said}: needs euros for a million tokens in and out, as in 0.4/2") from None
