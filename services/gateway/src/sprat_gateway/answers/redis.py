"""Results in Redis, sealed with the door's own key: what several instances know together."""

import logging
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr, TypeAdapter, ValidationError

from sprat.base.keys import Keys
from sprat.base.sealing import Seal
from sprat.base.settings import RedisSettings
from sprat.processing.cache import RedisCache
from sprat_gateway.answers.kept import KeptText
from sprat_operations.gateway_stores import gateway_namespace

log = logging.getLogger(__name__)

TTL_S: Final = 24 * 3600
_KEPT: Final = TypeAdapter(KeptText)


class RedisAnswers:
    """`TextStore` in Redis for a day. A slow or unreachable Redis is a text that is not found.

    Args:
        redis: how to reach it; `ttl_s` is that of other values.
        prefix: of the installation's topics.
        seal_key: of the door alone: whoever writes to Redis can neither read nor make what it answers.
    """

    def __init__(self, redis: RedisSettings, prefix: str, seal_key: SecretStr) -> None:
        kept_for_a_day = redis.model_copy(update={"ttl_s": TTL_S})
        self._cache = RedisCache(kept_for_a_day, gateway_namespace(prefix), Seal(Keys(seal_key)), name="door")

    async def find(self, uuid: str, tenant: str, source: str) -> KeptText | None:
        """Return what stands of a text; None where there is none of this tenant and source."""
        value = await self._cache.get(uuid)
        try:
            found = None if value is None else _KEPT.validate_json(value)
        except ValidationError:
            log.warning("Redis holds a text that another version of this gateway wrote; it counts as not found")
            return None
        owner = None if found is None else (found.outcome.tenant, found.outcome.source)
        return found if owner == (tenant, source) else None

    async def keep(self, changed: Sequence[KeptText]) -> None:
        """Keep what is known now of some texts, for a day."""
        await self._cache.put_many({each.outcome.uuid: _KEPT.dump_json(each) for each in changed})

    async def close(self) -> None:
        """Disconnect."""
        await self._cache.close()
