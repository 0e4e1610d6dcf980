"""The benchmark beside the peers: Sprat gets the texts of the set that is measured, as every peer does."""

from support import training_files
from tests.bench.peers.systems import Sprat


def test_each_set_is_sent_by_itself(tmp_path):
    both = ["one of the first set", "one of the second set"]
    system = Sprat("127.0.0.1:1", both, tmp_path, training_files.EN_FAST)
    system.given = both[1:]
    values = [system.record(number)[1].decode() for number in range(3)]
    assert all("one of the second set" in value for value in values)
