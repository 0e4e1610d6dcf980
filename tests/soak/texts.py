"""What is published: the n-th record of a run, made from the seed and its number alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

Kind = Literal["text", "broken", "aborted", "committed"]
"""Of a line of acknowledgements: outside a transaction, or how its transaction ended."""

ALLOW, REDACT, DENY = "soak-allow", "soak-redact", "soak-deny"
TENANTS: Final = (ALLOW, REDACT, DENY)
POLICY: Final = {
    "tasks": {"intent": {"out_of_scope": "keep"}},
    "regions": {"local": ["127.0.0.1", "localhost"]},
    "tenants": {
        ALLOW: {"frontier": "allow", "regions": ["local"], "deadline_ms": 60_000},
        REDACT: {"frontier": "redact", "regions": ["local"], "deadline_ms": 60_000},
        DENY: {"frontier": "deny"},
    },
}
OTHER_POLICY: Final = POLICY | {"tasks": {"intent": {"goal": 0.98, "out_of_scope": "keep"}}}
"""Keeps less. Where texts may go is as before."""

_BROKEN_SHARE: Final = 0.01
_HARD_SHARE: Final = 0.02
_BY_ENCODER_SHARE: Final = 0.05
_KNOWN_SHARE: Final = 0.2
"""Of the texts, those that repeat an earlier one of their tenant word for word: the cache has them."""
_TWO_TASKS_SHARE: Final = 0.05
_EARLIER: Final = 30 * len(TENANTS)
_KEYS: Final = 1_000

_SURE: Final = (
    "please move {} euros from checking to my savings account",
    "what is the balance of my account {}",
    "transfer {} dollars to my savings",
    "how do i change my pin {}",
    "set a timer for {} minutes",
    "what is the exchange rate for {} dollars",
    "order {} new checks for me",
)
# The lexical stage answers these at once; the next ones it leaves to the encoder, which leaves some to the frontier.
_BY_ENCODER: Final = ("please move {} euros to my savings", "i would like {} of those sent over to the other one")
_HARD: Final = ("för över {} euro till mitt sparkonto", "skicka {} kronor till anna.berg{}@example.org")
"""In a language that the intent model declines; the second has something to mask."""


@dataclass(frozen=True, slots=True)
class SoakRecord:
    """A record for the topic of texts."""

    id: str
    tenant: str
    tasks: tuple[str, ...]
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    broken: bool = False


class Texts:
    """The records of a run."""

    def __init__(self, seed: int) -> None:
        self.source = f"/soak/{seed}"
        self._seed = seed

    def plain(self, number: int) -> SoakRecord:
        """Return the n-th record outside transactions; one of a hundred is broken."""
        random = Random(f"{self._seed} {number}")
        if random.random() < _BROKEN_SHARE:
            return self._broken(random, f"b-{number}")
        return self._text(random, f"p-{number}", number)

    def in_transaction(self, transaction: int, number: int) -> SoakRecord:
        """Return the n-th record of a transaction."""
        return self._text(Random(f"{self._seed} {transaction} {number}"), f"t-{transaction}-{number}", number)

    def last(self, partition: int) -> SoakRecord:
        """Return the last record of a partition."""
        return self._text(Random(f"{self._seed} last {partition}"), f"l-{partition}", partition)

    def _text(self, random: Random, id: str, number: int) -> SoakRecord:
        tenant = TENANTS[number % len(TENANTS)]
        words = self._words(random, id, number)
        tasks = ("intent", "language-id") if random.random() < _TWO_TASKS_SHARE else ("intent",)
        value = words | {"tasks": {task: {} for task in tasks}, "tenant": tenant, "frontier": "allow"}
        return self._record(id, tenant, tasks, number, json.dumps(value).encode())

    def _words(self, random: Random, id: str, number: int) -> Mapping[str, str]:
        hard = random.random() < _HARD_SHARE
        known = not hard and random.random() < _KNOWN_SHARE
        said = f"{number - number % _EARLIER + number % len(TENANTS)}" if known else f"{number} {id}"
        by_encoder = not known and random.random() < _BY_ENCODER_SHARE
        sentences = _HARD if hard else _BY_ENCODER if by_encoder else _SURE
        return {"text": random.choice(sentences).format(said, number), "language": "sv" if hard else "en"}

    def _broken(self, random: Random, id: str) -> SoakRecord:
        good = {"text": "please move 5 euros", "tasks": {"intent": {}}, "tenant": ALLOW}
        values: tuple[Any, ...] = (
            b"{not json",
            b"",
            b"\xff\xfe\x00",
            json.dumps(good | {"text": " "}).encode(),
            json.dumps(good | {"text": 7}).encode(),
            json.dumps(good | {"tasks": {}}).encode(),
            json.dumps(good | {"tasks": {"Intent": {}}}).encode(),
            json.dumps(good | {"language": "english please"}).encode(),
            b"[" * 5_000,
        )
        number = random.randrange(_KEYS)
        record = self._record(id, ALLOW, (), number, random.choice(values), broken=True)
        if random.random() < 0.3:
            headers = [each for each in record.headers if each[0] != "ce_type"]
            return SoakRecord(id, ALLOW, (), record.key, json.dumps(good).encode(), headers, broken=True)
        return record

    def _record(
        self, id: str, tenant: str, tasks: tuple[str, ...], number: int, value: bytes, *, broken: bool = False
    ) -> SoakRecord:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": id,
            "ce_source": self.source,
            "ce_type": "dev.sprat.text.submitted.v1",
        }
        key = str(number % _KEYS).encode()
        return SoakRecord(id, tenant, tasks, key, value, [(k, v.encode()) for k, v in headers.items()], broken)
