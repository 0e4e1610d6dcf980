"""Why Kafka lets nobody in, and which setting to look at.

aiokafka tells its log why a connection did not come about, and raises the same error for all of it. The log's records
hold the errors themselves, so that they are told apart by type and not by words.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from sprat.settings import KafkaSettings

_OTHER_HOST = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_TLS_ALERT = 0x1503
"""How an answer in TLS begins: read as the length of a Kafka message, it is one of 350 MB."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no connection came about."""

    reason: str
    """For people: what is wrong, and which variable to look at. It holds no secret."""
    settled: bool
    """Will the next try end the same way, unless somebody changes something?"""


class CapturedRefusals(logging.Handler):
    """What aiokafka said last, and why Kafka refused, if it did."""

    def __init__(self, kafka: KafkaSettings, settled: Callable[[Refusal], None] = lambda _: None) -> None:
        super().__init__(logging.WARNING)
        self.said = ""
        self.refusal: Refusal | None = None
        self._kafka = kafka
        self._settled = settled

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what it says, and why Kafka refused, if that is in it."""
        self.said = record.getMessage()
        if self.refusal is not None and self.refusal.settled:
            return
        errors = [each for each in record.args or () if isinstance(each, BaseException)]
        self.refusal = refusal_of(errors[0], self._kafka) if errors else None
        if self.refusal is not None and self.refusal.settled:
            self._settled(self.refusal)


@contextmanager
def capture_refusals(
    kafka: KafkaSettings, settled: Callable[[Refusal], None] = lambda _: None
) -> Iterator[CapturedRefusals]:
    """Listen to aiokafka inside the block; `settled` is told the first refusal that trying again does not mend."""
    log, overheard = logging.getLogger("aiokafka"), CapturedRefusals(kafka, settled)
    level = log.level
    if not log.isEnabledFor(logging.WARNING):  # somebody silenced it, for people
        log.setLevel(logging.WARNING)
    log.addHandler(overheard)
    try:
        yield overheard
    finally:
        log.removeHandler(overheard)
        log.setLevel(level)


def refusal_of(error: BaseException, kafka: KafkaSettings) -> Refusal | None:
    """Tell what a failed connection says of the settings; None where it says nothing of them."""
    seen: BaseException | None = error
    while seen is not None:
        if (refusal := _refusal(seen, kafka)) is not None:
            return refusal
        seen = seen.__cause__
    return None


def _refusal(error: BaseException, kafka: KafkaSettings) -> Refusal | None:
    if isinstance(error, ssl.SSLError):
        return _tls(error, kafka)
    if isinstance(error, asyncio.IncompleteReadError) and (error.expected or 0) >> 16 == _TLS_ALERT:
        return Refusal(f"this port speaks TLS: {_protocol(kafka)}", settled=True)
    if isinstance(error, asyncio.IncompleteReadError | ConnectionResetError):
        return Refusal(f"it hung up: {_protocol(kafka)}", settled=False)
    reason = _sasl(error, kafka)
    return None if reason is None else Refusal(reason, settled=True)


def _sasl(error: BaseException, kafka: KafkaSettings) -> str | None:
    mechanism = kafka.sasl_mechanism
    if isinstance(error, SaslAuthenticationFailed):
        look = _look("SASL_USERNAME", "SASL_PASSWORD", "SASL_MECHANISM")
        return f"it does not accept the user or the password ({mechanism}): {look}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not offer {mechanism}: {_look('SASL_MECHANISM')}"
    if isinstance(error, IllegalSaslStateError):
        return f"this port knows no users and passwords: {_protocol(kafka)}"
    return None


def _tls(error: ssl.SSLError, kafka: KafkaSettings) -> Refusal:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_HOST:
            return Refusal(f"its certificate is another host's: {_look('BOOTSTRAP')}", settled=True)
        return Refusal(f"its certificate is not trusted ({error.verify_message}): {_look('SSL_CAFILE')}", settled=True)
    reason = error.reason or "no reason given"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        look = _look("SSL_CERTFILE", "SSL_KEYFILE")
        return Refusal(f"it wants a certificate of its clients, and not this one ({reason}): {look}", settled=True)
    return Refusal(f"no TLS comes about ({reason}): {_protocol(kafka)}", settled=False)


def _protocol(kafka: KafkaSettings) -> str:
    return f"asked as {kafka.security_protocol}, {_look('SECURITY_PROTOCOL')}, and at the port"


def _look(*names: str) -> str:
    return f"look at {', '.join(f'SPRAT_KAFKA__{name}' for name in names)}"
