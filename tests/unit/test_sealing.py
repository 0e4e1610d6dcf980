"""A sealed value belongs to its name, its time and the secret; test_cache_values.py has it in Redis."""

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.sealing import Expired, NotSealed, Seal
from support.clock import Clock

SECRET = SecretStr("the secret of this installation")
OTHER = SecretStr("the next secret of this installation")
VALUE = b'0.999\n{"label": "transfer"}'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seal(clock: Clock) -> Seal:
    return Seal(Keys(SECRET), clock)


def test_a_value_comes_back_and_cannot_be_read(seal: Seal) -> None:
    for value in (VALUE, b"", bytes(10_000)):
        assert seal.unseal("a", seal.seal("a", value, 60)) == value
    assert VALUE not in seal.seal("a", VALUE, 60)
    assert len({seal.seal("a", VALUE, 60) for _ in range(100)}) == 100, "each with a nonce of its own"


def test_a_value_of_another_name_or_secret_is_refused(seal: Seal, clock: Clock) -> None:
    sealed = seal.seal("a", VALUE, 60)
    for other, name in ((seal, "b"), (seal, ""), (Seal(Keys(OTHER), clock), "a")):
        with pytest.raises(NotSealed, match="changed, moved, or sealed with another secret"):
            other.unseal(name, sealed)


def test_a_value_past_its_time_is_refused(seal: Seal, clock: Clock) -> None:
    sealed = seal.seal("a", VALUE, 60)
    clock.now_s += 59.9
    assert seal.unseal("a", sealed) == VALUE
    clock.now_s += 0.1
    with pytest.raises(Expired, match="its time is over"):
        seal.unseal("a", sealed)


def test_each_changed_bit_is_noticed(seal: Seal) -> None:
    sealed = seal.seal("a", VALUE, 60)
    assert seal.unseal("a", sealed) == VALUE
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotSealed):
            seal.unseal("a", bytes(changed))


@pytest.mark.parametrize("length", range(40))
def test_a_value_that_was_cut_is_noticed(seal: Seal, length: int) -> None:
    with pytest.raises(NotSealed):
        seal.unseal("a", seal.seal("a", VALUE, 60)[:length])


def test_during_a_rotation_what_either_service_sealed_is_read_by_both(clock: Clock) -> None:
    before, after = Seal(Keys(SECRET, OTHER), clock), Seal(Keys(OTHER, SECRET), clock)
    for writer in (before, after):
        sealed = writer.seal("a", VALUE, 60)
        assert before.unseal("a", sealed) == after.unseal("a", sealed) == VALUE


def test_it_seals_with_the_current_secret_alone(clock: Clock) -> None:
    sealed = Seal(Keys(OTHER, SECRET), clock).seal("a", VALUE, 60)
    assert Seal(Keys(OTHER), clock).unseal("a", sealed) == VALUE
    with pytest.raises(NotSealed):
        Seal(Keys(SECRET), clock).unseal("a", sealed)
