"""What an item still has to send after an attempt that did not wholly succeed."""

import pytest

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher
from sprat.processing.outbox import Outbox
from sprat.processing.records import PendingRecord, WorkItem
from sprat.telemetry.spans import INVISIBLE
from sprat_contracts import Topics
from support.stream import SIGNATURES
from support.wire_records import plain


class Half(Publisher):
    async def publish(self, records, hold_s=None):
        raise NotAcknowledged((2,), "KafkaTimeoutError", too_large=(1,))


async def test_what_is_too_large_is_not_struck_out_as_acknowledged():
    records = [PendingRecord(OutRecord("t", None, b"%d" % number), INVISIBLE) for number in range(3)]
    item = WorkItem(plain(), pending=list(records))
    publisher = Half(KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat"), "test")
    outbox = Outbox("router", "1.2.3", Topics(), publisher, SIGNATURES)
    with pytest.raises(NotAcknowledged):
        await outbox.publish([item], lambda received, emit: pytest.fail("nothing is encoded anew"))
    assert item.pending == records[1:]
