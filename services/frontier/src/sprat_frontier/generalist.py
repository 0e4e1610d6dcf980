"""The generalist service: a choice where an answer is one label, a chat where it is a text."""

from typing import Any

import httpx2
from openai import AsyncOpenAI

from sprat_contracts import Declined, IntentOutput
from sprat_frontier.chat import ChatApi
from sprat_frontier.decisions import DecisionsApi
from sprat_frontier.errors import ProviderError
from sprat_frontier.prompts import FrontierQuestion
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.responses import Response


class GeneralistApi:
    """`POST /decisions` for one label of several, else `POST /chat/completions`.

    Args:
        chat: how to ask for a text.
    """

    name = "generalist"

    def __init__(self, chat: ChatApi) -> None:
        self._chat = chat
        self._decisions = DecisionsApi()

    def problem(self, question: FrontierQuestion) -> Declined | None:
        """Return why it cannot ask this; None if it can."""
        return self._of(question).problem(question)

    def body(self, model: str, question: FrontierQuestion) -> dict[str, Any]:
        """Write the request."""
        return self._of(question).body(model, question)

    def path(self, body: dict[str, Any]) -> str:
        """Return the path of a request, below the base URL."""
        return self._sender(body).path(body)

    async def send(self, client: AsyncOpenAI, body: dict[str, Any]) -> httpx2.Response:
        """Make the call."""
        return await self._sender(body).send(client, body)

    def read(self, prepared: PreparedRequest, response: Response) -> ProviderAnswer | ProviderError:
        """Return the answer in a response, or why it has none."""
        return self._of(prepared.question).read(prepared, response)

    def _sender(self, body: dict[str, Any]) -> DecisionsApi | ChatApi:
        return self._decisions if "questions" in body else self._chat

    def _of(self, question: FrontierQuestion) -> DecisionsApi | ChatApi:
        return self._decisions if question.output is IntentOutput else self._chat
