"""What `sprat up` prints of the gateway: a line for curl with an API key, and where the page is."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

from sprat.base.model import DEFAULT_MODEL
from sprat_local.installation.lifecycle import Installation


def front_door(installation: Installation, text: str, language: str | None) -> Iterator[str]:
    """Yield the lines; none where no gateway runs. The key is shown here, and nowhere else.

    Args:
        installation: it runs.
        text: an example.
        language: of the example, where texts that name none are in another one.

    Raises:
        UserError: no token for the page can be written.
    """
    gateway = installation.gateway
    if gateway is None:
        return
    model = installation.models["intent"]
    body: dict[str, Any] = {"text": text, "tasks": {"intent": {} if model == DEFAULT_MODEL else {"model": model}}}
    if language is not None:
        body["language"] = language
    yield f"  http      curl {gateway.address}/v1/texts -H 'Authorization: Bearer {gateway.key}' \\"
    yield f"              --json {shlex.quote(json.dumps(body))}"
    whose = f"tenant {gateway.entry.tenant}, source {gateway.entry.source}"
    yield f"            (the key is shown once: {whose}; others: sprat keys add)"
    if (page := gateway.page()) is not None:
        yield f"  page      {page}"
        yield "            (opens the page once, in one browser)"
