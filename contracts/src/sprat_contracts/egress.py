"""`EgressRecord`: what left the perimeter. Two for every call: the attempt, before it; the outcome, after it."""

from typing import Annotated, ClassVar

from pydantic import Field

from sprat_contracts.base import Message
from sprat_contracts.frontier import Usage


class EgressRecord(Message):
    """One phase of one call to a provider outside. It holds no word of the text."""

    event_type: ClassVar[str] = "dev.sprat.egress.recorded.v1"

    call_id: Annotated[str, Field(min_length=1, description="The same in both phases of a call.")]
    phase: Annotated[str, Field(description="`attempt`: acknowledged by Kafka before the call; `outcome`: after it.")]
    tenant: Annotated[str, Field(description="On whose behalf.")]
    task: Annotated[str, Field(description="For which task.")]
    provider: Annotated[str, Field(description="Who receives it.")]
    region: Annotated[str, Field(description="The provider's region, as configured.")]
    model: Annotated[str, Field(description="The provider's model.")]
    bytes_out: Annotated[int, Field(ge=0, description="Bytes of the request body.")]
    usage: Annotated[Usage | None, Field(description="Tokens; null in an attempt or without an answer.")] = None
    cost_eur: Annotated[float, Field(ge=0, description="Cost in euros; 0 in an attempt.")] = 0.0
    masked: dict[str, int] = Field(default_factory=dict, description="Type of personal data → items masked.")
    text_hash: Annotated[str, Field(description="Keyed hash of the text, to find one's own; not reversible.")]
    outcome: Annotated[
        str | None, Field(description="`answered` or what went wrong, in a word; null in an attempt.")
    ] = None
