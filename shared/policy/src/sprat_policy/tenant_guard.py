"""Whether a text may come in its tenant's name: its source is the tenant's, and its signature, where one is asked for.

The router judges texts. Predictions carry what it needs to judge them by themselves: services read texts without it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sprat.base.errors import Rejected
from sprat_contracts import SIGNATURE_HEADER, Prediction, ReasonCode, TextSignature
from sprat_policy.rules import Policy
from sprat_policy.source_globs import Claims, matches

SigningKeys = Mapping[str, tuple[bytes, ...]]
"""Section of a tenant → its keys."""

NO_KEYS: Final[SigningKeys] = MappingProxyType({})
_AS_CLOUDEVENT: Final = "send ce_specversion, ce_id, ce_source and ce_type"


class TenantGuard:
    """Judges by the policy's sources and keys; refuses texts of a tenant whose keys it does not have.

    Args:
        policy: the installation's.
        keys: with which tenants sign.
        door_keys: with which the HTTP door signs for them; valid for the tenant's `door_sources` alone.
    """

    def __init__(self, policy: Policy, keys: SigningKeys, door_keys: SigningKeys = NO_KEYS) -> None:
        self._policy = policy
        self._keys = keys
        self._door_keys = door_keys
        self._claims = Claims(policy.claims())

    def refusal(
        self, tenant: str, source: str, id: str, signature: TextSignature | None, *, plain: bool = False
    ) -> Rejected | None:
        """Return why a text is not its tenant's; None where it is.

        Args:
            tenant: of the text.
            source: of the text.
            id: of the text.
            signature: as the text or its prediction has it.
            plain: whether the text is plain JSON, whose source and id follow from its place.
        """
        if foreign := self.foreign_source(tenant, source, plain=plain):
            return Rejected(ReasonCode.FOREIGN_SOURCE, f"header ce_source: {foreign}")
        return self._bad_signature(tenant, source, id, signature, plain=plain)

    def skip_reason(self, prediction: Prediction) -> str | None:
        """Return why the prediction's text is not its tenant's, as a code; None where it is.

        The text itself has its dead letter from the router.
        """
        tenant, signature = prediction.submitted.tenant, prediction.text_signature
        refusal = self.refusal(tenant, prediction.text_source, prediction.text_id, signature)
        return None if refusal is None else refusal.code

    def foreign_source(self, tenant: str, source: str, *, plain: bool = False) -> str | None:
        """Return why a source is not a tenant's, in words; None where it is."""
        own = self._policy.tenant(tenant)
        if own.sources:
            if any(matches(glob, source) for _, _, glob in own.claims()):
                return None
            what = f"missing; {_AS_CLOUDEVENT}, with one" if plain else "not one"
            return f"{what} of the sources that the policy gives to this tenant"
        if self._claims.owner(source) in (None, self._policy.section(tenant)):
            return None
        return "the policy gives this source to another tenant"

    def _bad_signature(
        self, tenant: str, source: str, id: str, signature: TextSignature | None, *, plain: bool
    ) -> Rejected | None:
        own = self._policy.tenant(tenant)
        if not own.is_signed:
            return None
        section = self._policy.section(tenant) or ""
        keys = (*self._keys.get(section, ()), *(self._door_keys.get(section, ()) if own.is_of_door(source) else ()))
        if plain:
            detail = f"plain JSON cannot be signed, for its id follows from its place; {_AS_CLOUDEVENT}, and sign"
        elif signature is None:
            detail = "missing or malformed; the policy asks this tenant to sign its texts"
        elif signature.is_by(keys, tenant, source, id):
            return None
        else:
            detail = "not made by a key of this tenant for this tenant, source, id and value"
        return Rejected(ReasonCode.BAD_SIGNATURE, f"header {SIGNATURE_HEADER}: {detail}")
