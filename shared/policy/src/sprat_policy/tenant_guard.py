"""Whether a text may come in its tenant's name: its source is the tenant's, and its signature, where one is asked for.

The router judges texts. Predictions carry what it needs to judge them by themselves: services read texts without it.
"""

from collections.abc import Mapping
from typing import Final

from sprat.base.errors import Rejected
from sprat_contracts import SIGNATURE_HEADER, Prediction, ReasonCode, TextSignature
from sprat_policy.rules import Policy
from sprat_policy.source_globs import Claims, matches

SigningKeys = Mapping[str, tuple[bytes, ...]]
"""Section of a tenant → its keys."""

_AS_CLOUDEVENT: Final = "send ce_specversion, ce_id, ce_source and ce_type"


class TenantGuard:
    """Judges by the policy's `sources` and `signing_keys`; refuses texts of a tenant whose keys it does not have."""

    def __init__(self, policy: Policy, keys: SigningKeys) -> None:
        self._policy = policy
        self._keys = keys
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
        foreign = self._foreign_source(tenant, source, plain=plain)
        return foreign or self._bad_signature(tenant, source, id, signature, plain=plain)

    def skip_reason(self, prediction: Prediction) -> str | None:
        """Return why the prediction's text is not its tenant's, as a code; None where it is.

        The text itself has its dead letter from the router.
        """
        tenant, signature = prediction.submitted.tenant, prediction.text_signature
        refusal = self.refusal(tenant, prediction.text_source, prediction.text_id, signature)
        return None if refusal is None else refusal.code

    def _foreign_source(self, tenant: str, source: str, *, plain: bool) -> Rejected | None:
        own = self._policy.tenant(tenant).sources
        if own:
            if any(matches(glob, source) for glob in own):
                return None
            what = f"missing; {_AS_CLOUDEVENT}, with one" if plain else "not one"
            detail = f"{what} of the sources that the policy gives to this tenant"
        elif self._claims.owner(source) in (None, self._policy.section(tenant)):
            return None
        else:
            detail = "the policy gives this source to another tenant"
        return Rejected(ReasonCode.FOREIGN_SOURCE, f"header ce_source: {detail}")

    def _bad_signature(
        self, tenant: str, source: str, id: str, signature: TextSignature | None, *, plain: bool
    ) -> Rejected | None:
        if not self._policy.tenant(tenant).signing_keys:
            return None
        keys = self._keys.get(self._policy.section(tenant) or "", ())
        if plain:
            detail = f"plain JSON cannot be signed, for its id follows from its place; {_AS_CLOUDEVENT}, and sign"
        elif signature is None:
            detail = "missing or malformed; the policy asks this tenant to sign its texts"
        elif signature.is_by(keys, tenant, source, id):
            return None
        else:
            detail = "not made by a key of this tenant for this tenant, source, id and value"
        return Rejected(ReasonCode.BAD_SIGNATURE, f"header {SIGNATURE_HEADER}: {detail}")
