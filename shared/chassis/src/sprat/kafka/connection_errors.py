"""Why Kafka refuses a connection, and which setting to look at.

aiokafka raises the same error whatever the cause, and logs the cause. The log records hold the error objects, so that
they are distinguished by type and not by words.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError

from sprat.base.settings import KafkaSettings

_OTHER_HOST = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_TLS_ALERT = 0x1503
"""The first bytes of a TLS alert, which a Kafka client reads as the length of a message: 350 MB."""


may_be_refused: ContextVar[bool] = ContextVar("may_be_refused", default=False)
"""Set in a task whose connections the service can do without: their refusals are not captured."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection was refused."""

    reason: str
    """For people: what is wrong, and which variable to look at. Holds no secret."""
    permanent: bool
    """Whether a retry fails too, unless somebody changes something."""


class CapturedRefusals(logging.Handler):
    """A log handler: the last message of aiokafka, and why Kafka refused, if it did."""

    def __init__(self, kafka: KafkaSettings, on_permanent: Callable[[Refusal], None] = lambda _: None) -> None:
        super().__init__(logging.WARNING)
        self.last_message = ""
        self.refusal: Refusal | None = None
        self._kafka = kafka
        self._on_permanent = on_permanent

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, and the reason of a refusal if the record holds one."""
        if may_be_refused.get():
            return
        self.last_message = record.getMessage()
        if self.refusal is not None and self.refusal.permanent:
            return
        errors = [each for each in record.args or () if isinstance(each, BaseException)]
        self.refusal = refusal_of(errors[0], self._kafka) if errors else None
        if self.refusal is not None and self.refusal.permanent:
            self._on_permanent(self.refusal)


@contextmanager
def capture_refusals(
    kafka: KafkaSettings, on_permanent: Callable[[Refusal], None] = lambda _: None
) -> Iterator[CapturedRefusals]:
    """Capture aiokafka's log inside the block; call `on_permanent` with the first refusal that a retry does not fix."""
    log, captured = logging.getLogger("aiokafka"), CapturedRefusals(kafka, on_permanent)
    level = log.level
    if not log.isEnabledFor(logging.WARNING):  # a command silences it
        log.setLevel(logging.WARNING)
    log.addHandler(captured)
    try:
        yield captured
    finally:
        log.removeHandler(captured)
        log.setLevel(level)


def refusal_of(error: BaseException, kafka: KafkaSettings) -> Refusal | None:
    """Return what a failed connection says about the settings; None where it says nothing about them."""
    cause: BaseException | None = error
    while cause is not None:
        if (refusal := _refusal(cause, kafka)) is not None:
            return refusal
        cause = cause.__cause__
    return None


def _refusal(error: BaseException, kafka: KafkaSettings) -> Refusal | None:
    if isinstance(error, ssl.SSLError):
        return _tls(error, kafka)
    if isinstance(error, asyncio.IncompleteReadError) and (error.expected or 0) >> 16 == _TLS_ALERT:
        return Refusal(f"this port speaks TLS: {_protocol(kafka)}", permanent=True)
    if isinstance(error, asyncio.IncompleteReadError | ConnectionResetError):
        return Refusal(f"it hung up: {_protocol(kafka)}", permanent=False)
    reason = _sasl(error, kafka)
    return None if reason is None else Refusal(reason, permanent=True)


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
            return Refusal(f"its certificate is another host's: {_look('BOOTSTRAP')}", permanent=True)
        return Refusal(
            f"its certificate is not trusted ({error.verify_message}): {_look('SSL_CAFILE')}", permanent=True
        )
    reason = error.reason or "no reason given"
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        look = _look("SSL_CERTFILE", "SSL_KEYFILE")
        return Refusal(f"it wants a certificate of its clients, and not this one ({reason}): {look}", permanent=True)
    return Refusal(f"no TLS comes about ({reason}): {_protocol(kafka)}", permanent=False)


def _protocol(kafka: KafkaSettings) -> str:
    return f"asked as {kafka.security_protocol}, {_look('SECURITY_PROTOCOL')}, and at the port"


def _look(*names: str) -> str:
    return f"look at {', '.join(f'SPRAT_KAFKA__{name}' for name in names)}"
