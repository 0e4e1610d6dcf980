"""The simulator as the provider of a soak run: it writes down what it receives, and cuts answers off where it is told.

`python -m tests.soak.provider`. `SOAK_PROVIDER_LOG` names the file of what came; while a file `….cut` stands beside it,
answers end in their middle.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from sprat_simulator import __main__ as simulator
from tests.soak.contract import hashes_of

LOG_VARIABLE: Final = "SOAK_PROVIDER_LOG"
_PROMISED: Final = b"1000"
"""A length that no answer keeps."""


def cut_file(log: Path) -> Path:
    """Return the file that has answers cut off while it is there."""
    return log.with_suffix(".cut")


class Recorded:
    """An ASGI application that writes down the requests before it lets another one answer them."""

    def __init__(self, app: Any, log: Path) -> None:
        self._app = app
        self._cut = cut_file(log)
        self._log = log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/chat"):
            await self._app(scope, receive, send)
            return
        parts = [await receive()]
        while parts[-1].get("more_body"):
            parts.append(await receive())
        body = b"".join(part.get("body", b"") for part in parts)
        if parts[-1]["type"] == "http.request":  # all of it has come
            entry = {"bytes": len(body), "texts": hashes_of(body)}
            with self._log.open("a", encoding="utf-8") as lines:  # a kill loses none
                lines.write(json.dumps(entry) + "\n")
        if self._cut.exists():
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", _PROMISED)]})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            return  # the server closes the connection
        again = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def received() -> Any:
            return next(again, None) or await receive()

        await self._app(scope, received, send)


def main() -> int:
    """Run the simulator's own program around the recorder."""
    build = simulator.build
    simulator.build = lambda settings, gold: Recorded(build(settings, gold), Path(os.environ[LOG_VARIABLE]))
    return simulator.main()


if __name__ == "__main__":
    sys.exit(main())
