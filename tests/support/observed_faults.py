"""The faults that an observed installation must notice, each injected for real, and the alerts that tell of it."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
from confluent_kafka import Producer

from sprat_operations.services import GATEWAY
from support.faulty_service import BREAKING_TEXT, MASKING, PUBLISHING
from support.observed import SOURCE, ObservedRun, frozen, wait_until
from support.secured_kafka import Keys, SecuredKafka
from support.traffic import record

FIRES_S = 90

Fault = Callable[[ObservedRun], AbstractContextManager[None]]


@contextlib.contextmanager
def expensive(run: ObservedRun) -> Iterator[None]:
    """Let every call cost euros."""
    price = json.dumps({"simulated-frontier": {"input_eur": 2_000, "output_eur": 2_000}})
    restart(run, "frontier", SPRAT_FRONTIER__PRICES=price)
    try:
        yield
    finally:
        restart(run, "frontier")


@contextlib.contextmanager
def kept_slow(run: ObservedRun) -> Iterator[None]:
    """Let the service of intents stand still for most of the time."""
    over = threading.Event()

    def stand_still() -> None:
        while not over.is_set():
            with frozen(run, "intent"):
                over.wait(2.5)
            over.wait(0.3)

    thread = threading.Thread(target=stand_still)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def killed(service: str) -> Fault:
    """Return the fault that a service is killed and kept down."""

    @contextlib.contextmanager
    def fault(run: ObservedRun) -> Iterator[None]:
        run.installation.kill(service)
        try:
            yield
        finally:
            run.installation.start_service(service)

    return fault


@contextlib.contextmanager
def redis_frozen(run: ObservedRun) -> Iterator[None]:
    run.installation.servers["redis"].kill(signal.SIGSTOP)
    try:
        yield
    finally:
        run.installation.servers["redis"].kill(signal.SIGCONT)


@contextlib.contextmanager
def kafka_frozen(run: ObservedRun) -> Iterator[None]:
    """Freeze the broker, and start a service that then waits for it."""
    run.installation.servers["kafka"].kill(signal.SIGSTOP)
    run.installation.stop_service("translation", grace_s=0)
    run.installation.start_service("translation", wait=False)
    try:
        yield
    finally:
        run.installation.servers["kafka"].kill(signal.SIGCONT)
        run.installation.wait_ready("translation")


def provider(**behaviour: float) -> Fault:
    """Return the fault that the provider behaves so."""

    @contextlib.contextmanager
    def fault(run: ObservedRun) -> Iterator[None]:
        run.behave(**behaviour)
        try:
            yield
        finally:
            run.behave(error_rate=0, latency_ms=20, overcount_rate=0, misname_rate=0)

    return fault


def faulty(name: str) -> Fault:
    """Return the fault that `support.faulty_service` puts in."""

    @contextlib.contextmanager
    def fault(run: ObservedRun) -> Iterator[None]:
        (run.faults / name).touch()
        try:
            yield
        finally:
            (run.faults / name).unlink()

    return fault


@contextlib.contextmanager
def unacknowledged(run: ObservedRun) -> Iterator[None]:
    """Let Kafka acknowledge nothing of some services, one of them a gateway that is asked all the time."""
    run.installation.start_service(GATEWAY)
    gateway = run.installation.gateway
    assert gateway is not None
    over = threading.Event()

    def ask() -> None:
        text = {"text": "please move 100 euros to my savings", "tasks": {"intent": {}}}
        while not over.wait(0.5):
            headers = {"authorization": f"Bearer {gateway.key}", "prefer": "wait=0"}
            httpx.post(f"{gateway.address}/v1/texts", json=text, headers=headers, timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        with faulty(PUBLISHING)(run):
            yield
    finally:
        over.set()
        asking.join()
        run.installation.stop_service(GATEWAY)


@contextlib.contextmanager
def no_checkpoints(run: ObservedRun) -> Iterator[None]:
    """Take the folder of the checkpoints away; a file is in its place, so that nothing makes it anew."""
    folder = run.installation.folder / "audit" / "checkpoints"
    kept = folder.rename(folder.with_name("kept"))
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        kept.rename(folder)


@contextlib.contextmanager
def bad_uploads(run: ObservedRun) -> Iterator[None]:
    for _ in range(20):
        run.traffic.publish(b"{", [])
    yield


@contextlib.contextmanager
def unserved_texts(run: ObservedRun) -> Iterator[None]:
    """Ask for a language that no small model serves, as a tenant whose texts may not leave."""
    for number in range(900):
        text = {
            "text": f"How are you on day {number}?",
            "tasks": {"translation": {"target": "fi"}},
            "tenant": "stranger",
        }
        run.traffic.publish(*record(SOURCE, f"unserved-{number}", text), str(number))
    yield


@contextlib.contextmanager
def forged(run: ObservedRun) -> Iterator[None]:
    """Write what only the service of intents may write, without the secret for it."""
    topic = run.installation.topics.predictions("intent")
    producer = Producer({"bootstrap.servers": run.installation.bootstrap, "log_level": 0})
    for _ in range(5):
        producer.produce(topic, b"{}")
    assert producer.flush(20) == 0
    yield


@contextlib.contextmanager
def breaking_texts(run: ObservedRun) -> Iterator[None]:
    for number in range(12):
        text = {"text": f"{BREAKING_TEXT} {number}", "tasks": {"intent": {}}}
        run.traffic.publish(*record(SOURCE, f"breaking-{number}", text), str(number))
    yield


@contextlib.contextmanager
def hung_transaction(run: ObservedRun) -> Iterator[None]:
    producer = Producer({"bootstrap.servers": run.installation.bootstrap, "transactional.id": "hangs", "log_level": 0})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(run.installation.topics.texts, b"{}", partition=0)
    assert producer.flush(20) == 0
    try:
        yield
    finally:
        producer.abort_transaction(20)


@contextlib.contextmanager
def refused(run: ObservedRun) -> Iterator[None]:
    """Give one service a wrong password, and another one a certificate that did not sign the broker's."""
    keys = Keys(run.faults)
    with SecuredKafka(keys) as kafka:
        restart(run, "ner", wait=False, **kafka.settings(SASL_PASSWORD="wrong"))
        restart(run, "translation", wait=False, **kafka.settings(SSL_CAFILE=str(keys.client)))
        yield
    restart(run, "ner")
    restart(run, "translation")


def restart(run: ObservedRun, service: str, *, wait: bool = True, **variables: str) -> None:
    """Start a service again with additional variables, as after a change of its configuration."""
    run.installation.stop_service(service)
    run.installation.start_service(service, env=variables, wait=wait)


FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    # The first: an hour's rate, here three minutes', falls slowly.
    "expensive": (expensive, ("SpratCostHigh",)),
    "kept texts slow": (kept_slow, ("SpratKeptTextsSlow intent page", "SpratEventLoopLate sprat-intent")),
    "texts without an answer": (unserved_texts, ("SpratQualityDropped translation",)),
    "service killed": (
        killed("ner"),
        (
            "SpratServiceDown sprat-ner",
            "SpratInstanceDown ner",
            "SpratGroupWithoutMember sprat.ner.default",
            "SpratGroupBehind sprat.ner.default",
            "SpratTextsWaitTooLong sprat.ner.default",
            "SpratResultsStopped ner",
            "SpratPairsWithoutResult ner page",
        ),
    ),
    "router killed": (killed("router"), ("SpratLagNotReported", "SpratServiceDown sprat-router")),
    "redis frozen": (redis_frozen, ("SpratCacheUnavailable",)),
    "provider down": (
        provider(error_rate=1, error_status=500),
        ("SpratProviderDown simulator", "SpratBreakerOpen simulator", "SpratProviderErrors simulator"),
    ),
    "provider slow": (provider(latency_ms=1500), ("SpratProviderSlow simulator",)),
    "key refused": (provider(error_rate=1, error_status=401), ("SpratProviderRefusesCredential unauthorised",)),
    "tokens counted too high": (provider(overcount_rate=1, misname_rate=1), ("SpratUsageCapped simulator",)),
    "forged predictions": (forged, ("SpratRecordsRefused sprat.predictions.intent.v1 unsigned",)),
    "bad uploads": (bad_uploads, ("SpratBadUploads invalid_json",)),
    "texts that break the model": (
        breaking_texts,
        ("SpratOwnFaults sprat-intent", "SpratDeadLettersOwnFault sprat-intent model_error"),
    ),
    "hung transaction": (hung_transaction, ("SpratTransactionHangs sprat.texts.v1",)),
    "no checkpoints": (no_checkpoints, ("SpratCheckpointsStopped",)),
    "masking fails": (faulty(MASKING), ("SpratMaskingFails",)),
    "nothing is acknowledged": (unacknowledged, ("SpratRecordsHeld sprat-intent", "SpratGatewayFails")),
    "broker frozen": (kafka_frozen, ("SpratKafkaUnreachable", "SpratServiceNotReady sprat-translation")),
    "credential and certificate refused": (
        refused,
        ("SpratServiceDown sprat-ner", "SpratServiceDown sprat-translation"),
    ),
}


def firing(run: ObservedRun, alert: str) -> bool:
    """Return whether an alert fires: its name, and values of labels that tell it from others of this name."""
    name, *values = alert.split()
    return any(
        each["alertname"] == name and set(values) <= set(each.values()) for each in run.prometheus.alerts("firing")
    )


@contextlib.contextmanager
def noticed(run: ObservedRun, name: str) -> Iterator[None]:
    """Inject a fault, and go on when all its alerts fire; repair it at the end."""
    fault, alerts = FAULTS[name]
    waiting = set(alerts)

    def fired() -> bool:
        waiting.difference_update({each for each in waiting if firing(run, each)})
        return not waiting

    run.traffic.resume()
    with fault(run):
        wait_until(fired, FIRES_S, lambda: f"silent: {sorted(waiting)}; {run.prometheus.alerts()}")
        run.noticed.add(name)
        yield
