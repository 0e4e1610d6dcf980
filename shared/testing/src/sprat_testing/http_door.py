"""The HTTP front door in a test: inside the test's process, in front of the same Kafka."""

import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat_operations.api_keys import FILE, add_key

_DATA = "data"


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """A door that serves, until Sprat stops."""

    url: str
    """Where it serves: `http://127.0.0.1:31234`."""
    key: str = field(repr=False)
    """The API key, for the header `Authorization: Bearer …`."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request needs."""
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


async def open_http_door(stack: AsyncExitStack, kafka: KafkaSettings, tenant: str, source: str) -> HttpDoor:
    """Return a door with a key of its own; the stack stops it, and removes what it has written.

    Raises:
        UserError: the door is not installed, or tenant or source cannot be those of a key.
    """
    try:
        from sprat_gateway.runtime import open_door  # noqa: PLC0415 - an extra
        from sprat_gateway.settings import GatewaySection, GatewaySettings  # noqa: PLC0415
    except ImportError:
        raise UserError(
            "the HTTP front door is not installed: pip install --find-links dist 'sprat-testing[door]'"
        ) from None
    folder = Path(tempfile.mkdtemp(prefix="sprat-testing-door-"))
    stack.callback(shutil.rmtree, folder)
    key, _ = add_key(folder / FILE, tenant, source)
    settings = GatewaySettings(
        kafka=kafka,
        redis=RedisSettings(),
        gateway=GatewaySection(port=0, keys_file=folder / FILE, data=folder / _DATA),
        health_port=0,
        _env_file=None,
    )
    door = await stack.enter_async_context(open_door(settings))
    return HttpDoor(f"http://127.0.0.1:{door.port}", key)
