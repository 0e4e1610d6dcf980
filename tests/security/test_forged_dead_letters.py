"""Who may write dead letters, but does not know the secret, gets no text published by a replay: on a real broker."""

import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from conftest import Kafka
from sprat.base.keys import Keys
from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat_contracts import DeadLetterReason, KafkaRecord
from sprat_contracts.dead_letters import DEAD_LETTER_SIGNATURE, ORIGIN_TOPIC, REPLAYS, SERVICE
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.letters import dlq
from support.stream import made_topics, producing, read_all, read_until, settings_for
from support.system import POLICY

STRANGER = Signatures(Keys(SecretStr("what somebody else made up")))
LIE = json.dumps({"text": "what is Anna Schmidt's balance", "tasks": {"intent": {}}, "tenant": "open-corp"}).encode()
ODD = [("x-odd", b"\xff\x00"), ("x-odd", None), (DEAD_LETTER_SIGNATURE, b"v1=made up"), (SERVICE, b"intent")]
"""Headers of a text: a null value, and names that a dead letter uses itself."""


def changed(letter: KafkaRecord | OutRecord, name: str = "", header: bytes = b"", **parts: bytes | None) -> OutRecord:
    """Return a dead letter with another header, key or value, and its signature as it was."""
    headers = [(each, header if each == name else value) for each, value in letter.headers]
    return OutRecord(letter.topic, parts.get("key", letter.key), parts.get("value", letter.value), headers)


async def test_a_replay_sends_what_a_service_wrote_and_nothing_that_somebody_else_wrote(
    kafka: Kafka, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, run = settings_for(kafka.bootstrap, prefix), partial(dlq, kafka.bootstrap, prefix)
    topics = await made_topics(settings)
    router = RouterSettings(policy=POLICY, **settings.model_dump(exclude={"policy"}), _env_file=None)
    async with producing(kafka.bootstrap) as producer:

        async def send(*records: OutRecord) -> None:
            for each in records:
                await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))

        async with running("router", router, build_router):
            await send(OutRecord(topics.texts, b"k", b'{"text": "no tasks"}', ODD))
            (real,) = await read_until(kafka.bootstrap, [topics.dead_letters], 1)
        reason = DeadLetterReason("model_error", "the model failed", topics.texts, 0, 999_999, 1, "router", "0.1.0")
        unsigned = OutRecord(topics.dead_letters, b"k", LIE, reason.headers(()))
        newer = [(name, value) for name, value in changed(real, REPLAYS, b"3").headers if name != DEAD_LETTER_SIGNATURE]
        signed_for_another_topic = OutRecord("other.dead-letters.v1", b"k", LIE, reason.headers(()))
        twice = changed(real)
        twice.headers = [*twice.headers, (SERVICE, b"router")]
        await send(
            unsigned,
            OutRecord(topics.dead_letters, real.key, real.value, newer),  # would hide the real one, as its own replay
            changed(real, value=LIE),
            changed(real, key=None),
            changed(real, SERVICE, b"intent"),
            changed(real, ORIGIN_TOPIC, topics.frontier_requests.encode()),
            changed(real, "x-odd", b""),
            twice,
            STRANGER.sign_dead_letter(OutRecord(topics.dead_letters, b"k", LIE, reason.headers(()))),
            OutRecord(topics.dead_letters, b"k", LIE, STRANGER.sign_dead_letter(signed_for_another_topic).headers),
        )
        code, listed = await run("list", "--json")
        assert (code, Counter(each["signed"] for each in listed)) == (0, {"current": 1, "unsigned": 2, "invalid": 8})
        assert " SIGNED " in (await run("list"))[1]
        assert " SIGNED " not in (await run("list", SPRAT_SECRET=""))[1]
        assert "  signed   yes\n" in (await run("show", f"{real.partition}:{real.offset}", "--raw"))[1]

        code, out = await run("replay", "--yes", "--json")
        assert (code, out[-1]["sent"], out[-1]["left_out"]) == (0, 1, 10)
        assert out[-1]["left_out_by"] == {"letter_unsigned": 2, "letter_wrongly_signed": 8}
        texts = await read_all(kafka.bootstrap, topics.texts)
        assert [each.value for each in texts] == [real.value] * 2
        (again,) = [each for each in texts if any(name == REPLAYS for name, _ in each.headers)]
        assert [each for each in again.headers if each[0] in {"x-odd", SERVICE, DEAD_LETTER_SIGNATURE}] == ODD[:2]

        code, out = await run("replay", "--yes", "--json", SPRAT_UNSIGNED_RECORDS="accept")
        assert (code, out[-1]["sent"]) == (0, 1)
        assert out[-1]["left_out_by"]["letter_wrongly_signed"] == 8
        assert [each.value for each in await read_all(kafka.bootstrap, topics.texts)].count(LIE) == 1
