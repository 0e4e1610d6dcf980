"""What `sprat up` prints of the gateway: a line for curl with a new API key, and where the page is."""

import json
import shlex
from collections.abc import Iterator

from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import environment
from sprat_local.installation import gateway
from sprat_local.installation.lifecycle import Installation
from sprat_local.processes.ports import HOST
from sprat_operations.page_login import make_login
from sprat_operations.services import GATEWAY


def front_door(installation: Installation, text: str, language: str | None) -> Iterator[str]:
    """Yield the lines; none where there is no gateway. The key is shown here, and nowhere else.

    Args:
        installation: it runs.
        text: an example.
        language: of the example, where texts that name none are in another one.

    Raises:
        UserError: the file of keys is not valid, or cannot be written.
    """
    if GATEWAY not in installation.processes:
        return
    key, entry = gateway.new_key(installation.options, installation.folder)
    address = f"http://{HOST}:{installation.gateway_port}"
    model = installation.models["intent"]
    body = {"text": text, "tasks": {"intent": {} if model == DEFAULT_MODEL else {"model": model}}}
    if language is not None:
        body["language"] = language
    yield f"  http      curl {address}/v1/texts -H 'Authorization: Bearer {key}' \\"
    yield f"              --json {shlex.quote(json.dumps(body))}"
    yield f"            (the key is shown once: tenant {entry.tenant}, source {entry.source}; others: sprat keys add)"
    if environment().get("SPRAT_GATEWAY__PAGE", "on") == "on":
        token = make_login(gateway.keys_file(installation.folder), entry.id)
        yield f"  page      {address}/page/sign-in?token={token}"
        yield "            (opens the page once, in one browser)"
