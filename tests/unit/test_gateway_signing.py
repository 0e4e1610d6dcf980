"""The door sends a tenant's texts only where the policy lets it, signed with the door's own key."""

import pytest

from conftest import WritePolicy
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Publisher
from sprat_contracts import SIGNATURE_HEADER
from sprat_contracts.signing import signature_of
from sprat_gateway.door import Door, ValidText
from sprat_gateway.http.callers import Caller
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import Waiters
from sprat_policy import TenantGuard, load_door_policy, load_guarded_policy

KEYS = {"OWN": "o" * 32, "DOOR": "d" * 32}
POLICY = """
tenants:
  bank: {signing_keys: ['${OWN}'], door_sources: [/web/bank], door_keys: ['${DOOR}']}
  free: {}
"""
BODY = b'{"text": "what is my balance", "tasks": {"intent": {}}}'


class Sender:
    """A door without a broker, and the guard of the router."""

    def __init__(self, write_policy: WritePolicy) -> None:
        file = write_policy(POLICY)
        kafka = KafkaSettings()
        signer = load_door_policy(file, {"DOOR": KEYS["DOOR"]})[1]
        self.door = Door(kafka, Publisher(kafka, "test"), Waiters(1), signer)
        self.guard: TenantGuard = load_guarded_policy(file, KEYS)[1]

    def read(self, tenant: str, source: str) -> ValidText:
        return self.door.read(Caller("k1", tenant, source, frozenset({"send"})), BODY, "order-1")


@pytest.fixture
def sender(write_policy: WritePolicy) -> Sender:
    return Sender(write_policy)


@pytest.mark.parametrize(("tenant", "source", "signed"), [("bank", "/web/bank", True), ("free", "/web/free", False)])
def test_the_router_takes_what_the_door_publishes(sender: Sender, tenant: str, source: str, *, signed: bool) -> None:
    text = sender.read(tenant, source)
    header = dict(text.record.headers).get(SIGNATURE_HEADER)
    assert (header is not None) is signed
    signature = None if header is None else signature_of(header.decode(), text.record.value)
    assert sender.guard.refusal(tenant, source, "order-1", signature) is None


@pytest.mark.parametrize(
    ("tenant", "source", "code"),
    [("bank", "/crm", "bad_signature"), ("free", "/web/bank", "foreign_source")],
    ids=["no key for this source", "another tenant's source"],
)
def test_what_the_router_would_refuse_is_403_at_the_door(sender: Sender, tenant: str, source: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        sender.read(tenant, source)
    assert (caught.value.status, caught.value.code) == (403, code)
    assert source not in caught.value.detail
