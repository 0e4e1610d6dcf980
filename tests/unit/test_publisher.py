"""What the publisher says of records that were not acknowledged."""

import pytest
from aiokafka.errors import KafkaTimeoutError, NotLeaderForPartitionError

from sprat.delivery.publisher import NotAcknowledged, OutRecord, Publisher
from sprat.settings import KafkaSettings


class Refusing(Publisher):
    """Ends every attempt with one error for each record."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__(KafkaSettings(), "test")
        self._errors = errors

    async def _send(self, records, deadline):
        return list(self._errors)


async def test_each_reason_is_named_once():
    publisher = Refusing(NotLeaderForPartitionError(), KafkaTimeoutError(), KafkaTimeoutError())
    with pytest.raises(NotAcknowledged) as refused:
        await publisher.publish([OutRecord("t", None, b"x")] * 3, hold_s=0)
    assert str(refused.value) == "3 records not acknowledged: KafkaTimeoutError, NotLeaderForPartitionError"
    assert refused.value.places == (0, 1, 2)
