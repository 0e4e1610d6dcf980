"""What the HTTP door may send in a tenant's name, and the signature with which it does."""

from typing import Final

from sprat.base.errors import Rejected
from sprat_contracts import ReasonCode, sign
from sprat_policy.rules import Policy
from sprat_policy.tenant_guard import SigningKeys, TenantGuard

_NO_KEY: Final = (
    "the policy asks this tenant to sign its texts, and gives the door no key for this source; add the source to the "
    "tenant's door_sources, or use an API key of another source"
)


class DoorSigner:
    """Signs with the keys of the door alone, which the policy names under `door_keys`.

    Args:
        policy: the installation's.
        keys: the door's, by section; none are needed to ask for a refusal.
    """

    def __init__(self, policy: Policy, keys: SigningKeys) -> None:
        self._policy = policy
        self._keys = keys
        self._guard = TenantGuard(policy, {})

    def refusal(self, tenant: str, source: str) -> Rejected | None:
        """Return why the router would take no text of a tenant from a source of the door; None where it would."""
        if foreign := self._guard.foreign_source(tenant, source):
            return Rejected(ReasonCode.FOREIGN_SOURCE, f"source of the API key: {foreign}")
        rules = self._policy.tenant(tenant)
        if rules.is_signed and not rules.is_of_door(source):
            return Rejected(ReasonCode.BAD_SIGNATURE, f"source of the API key: {_NO_KEY}")
        return None

    def sign(self, tenant: str, source: str, id: str, value: bytes) -> bytes | None:
        """Return the header `sprat_text_signature` of a text without `refusal`; None where it needs none.

        Args:
            tenant: of the text.
            source: of the text.
            id: of the text.
            value: of its record, as it is sent.
        """
        if not self._policy.tenant(tenant).is_signed:
            return None
        return sign(self._keys[self._policy.section(tenant) or ""][0], tenant, source, id, value)
