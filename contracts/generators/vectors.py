"""Test vectors of the ids: what an implementation in another language must return."""

from typing import Any

from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.review_tokens import ReviewTokens
from sprat_contracts import ReviewCell, Traceparent, ids, sign

_DERIVED = (
    (ids.RESULT, "/shop/chat", "order-4711/message-3", "intent"),
    (ids.PREDICTION, "/shop/chat", "order-4711/message-3", "intent"),
    (ids.REQUEST, "/shop/chat", "order-4711/message-3", "ner"),
    (ids.ANSWER, "/shop/chat", "order-4711/message-3", "translation"),
    (ids.TRACE, "/shop/chat", "order-4711/message-3", ""),
    (ids.RESULT, "/büro/Köln", "Straße-ß-日本語-🐟", "intent"),
    (ids.RESULT, 'say "hi"', "back\\slash", "ner"),
    (ids.RESULT, "line\nbreak\ttab", "\u0000\u001f\u007f", "intent"),
    (ids.RESULT, "</script>", "a/b & c", "intent"),
    (ids.RESULT, "\u2028\u2029", "e\u0301 is not \u00e9", "intent"),
    (ids.RESULT, "/sprat.texts.v1/3", "41-1767225600000", "intent"),
    (ids.RESULT, " ", " ", ""),
    (ids.TEXT, "/shop/chat", "order-4711/message-3", ""),
)
_SIGNED = (
    (
        "acme-bank",
        "/crm/mail",
        "mail-4711",
        '{"text": "what is my balance", "tasks": {"intent": {}}, "tenant": "acme-bank"}',
    ),
    ("default", "/crm/mail", "mail-4711", '{"text": "what is my balance", "tasks": {"intent": {}}}'),
    ("acme-bank/", "crm/mail", "mail-4711", "{}"),
    ("acme-bank", "/crm/mail", "mail-4711", "{}"),
    ("Bücher & Köln", 'say "hi"\n', "日本語-🐟", '{"text": "e\u0301 is not \u00e9"}\n'),
    ("acme-bank", "/crm/mail", "mail-4711", ""),
)
_SIGNING_KEYS = ("thirty-two bytes are the least of", "Schlüssel: öffentlich, nur für Beispiele")
_DRAWS = (
    ("/shop/chat", "order-4711/message-3", "intent", ReviewCell(tenant="default", language="en")),
    ("/shop/chat", "order-4711/message-3", "intent", ReviewCell(tenant="acme-bank", language="en")),
    ("/büro/Köln", "Straße-ß-日本語-🐟", "ner", ReviewCell(tenant="Bücher & Köln", language="und")),
    ('say "hi"\n', "back\\slash", "intent", ReviewCell()),
)
_PLAIN = (("sprat.texts.v1", 3, 41, 1_767_225_600_000), ("acme.texts.v1", 0, 0, 0))


def vectors() -> dict[str, Any]:
    """Return the document."""
    return {
        "about": "id = uuid5(namespace, name); name = the JSON array [stage, source, id, task] in UTF-8, without white "
        "space, non-ASCII characters unescaped: what JSON.stringify writes. A text without traceparent starts the "
        "trace 00-<trace id>-<last 16 digits of it>-01, where the trace id is the hex of the id of stage `trace`.",
        "namespace": str(ids.NAMESPACE),
        "derived": [
            {
                "stage": stage,
                "source": source,
                "id": id_,
                "task": task,
                "name": ids.name(stage, source, id_, task),
                "uuid": str(ids.derive(stage, source, id_, task)),
            }
            for stage, source, id_, task in _DERIVED
        ],
        "plain_json": [_plain(*place) for place in _PLAIN],
        "signatures": {
            "about": "Header sprat_text_signature = `v1=` and the lower-case hex of HMAC-SHA-256 with the key's UTF-8 "
            "over 150 bytes: the ASCII of `sprat text signature 1`, then SHA-256 of the tenant, of the source and of "
            "the id in UTF-8, and of the value's bytes (here in UTF-8).",
            "signed": [_signed(key, *text) for key in _SIGNING_KEYS for text in _SIGNED],
        },
        "reviews": {
            "about": "Key of a purpose = HMAC-SHA-256 with the secret's UTF-8 over the purpose and a zero byte. Hash "
            "of a draw = the first 16 digits of the lower-case hex of HMAC-SHA-256 with the key of `review draw` over "
            "the JSON array [source, id, task], written as names of ids are; token = the whole hex, with the key of "
            "`review token`, over [source, id, task, tenant of the cell, its language, hash]; null is an empty string.",
            "drawn": [_drawn(secret, *draw) for secret in _SIGNING_KEYS for draw in _DRAWS],
        },
        "traceparent": [
            {"source": source, "id": id_, "traceparent": str(Traceparent.root(source, id_))}
            for _, source, id_, _ in _DERIVED[4:6]
        ],
    }


def _signed(key: str, tenant: str, source: str, id: str, value: str) -> dict[str, str]:
    signature = sign(key.encode(), tenant, source, id, value.encode()).decode()
    return {"key": key, "tenant": tenant, "source": source, "id": id, "value": value, "signature": signature}


def _drawn(secret: str, source: str, id: str, task: str, cell: ReviewCell) -> dict[str, Any]:
    tokens = ReviewTokens(Keys(SecretStr(secret)))
    hash_ = tokens.hash(source, id, task)
    token = tokens.token(source, id, task, cell, hash_)
    named = {"source": source, "id": id, "task": task, "tenant": cell.tenant, "language": cell.language}
    return {"secret": secret, **named, "hash": hash_, "token": token}


def _plain(topic: str, partition: int, offset: int, timestamp_ms: int) -> dict[str, Any]:
    source, id_ = ids.plain_text_identity(topic, partition, offset, timestamp_ms)
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp_ms": timestamp_ms,
        "source": source,
        "id": id_,
    }
