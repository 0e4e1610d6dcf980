"""The alarms of what is kept: which stand, their names, and clearing one."""

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sprat.base.errors import Fatal, SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.log_reader import LogReader
from sprat.kafka.publisher import Publisher
from sprat.kafka.signatures import Signatures
from sprat.registry.alarms import AlarmBook, alarm_record, cleared
from sprat_contracts import AlarmRaised, ModelAnnounced, ReviewCell
from sprat_contracts.reviews import RAISED
from sprat_contracts.thresholds import Thresholds, thousandths
from sprat_operations.connection import reading_signatures

SOURCE: Final = "/sprat/alarms"
"""The CloudEvents source of alarms that are cleared from the command line."""
MAX_BECAUSE: Final = 1_000
_ALL: Final = "/*"
_ACKNOWLEDGE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class KnownAlarms:
    """The content of the topic of alarms."""

    alarms: tuple[AlarmRaised, ...]
    """The last record of each place, by name."""
    verified: bool
    """Whether signatures were verified."""

    @property
    def standing(self) -> tuple[AlarmRaised, ...]:
        """Return those that are raised and not cleared."""
        return tuple(each for each in self.alarms if each.state == RAISED)

    def named(self, name: str) -> AlarmRaised:
        """Return the alarm of a name.

        Raises:
            UserError: there is none.
        """
        found = next((each for each in self.alarms if name_of(each) == without_all(name)), None)
        if found is None:
            there = ", ".join(map(name_of, self.alarms)) or "none"
            raise UserError(f"no alarm has the name {name}; there are: {there}")
        return found


def name_of(alarm: AlarmRaised) -> str:
    """Return the name of an alarm, as `errors/intent/acme/de`: its key, without what stands for all at its end."""
    return without_all(alarm.key.decode())


def without_all(name: str) -> str:
    """Return the name of a place without the `/*` at its end."""
    while name.endswith(_ALL):
        name = name.removesuffix(_ALL)
    return name


async def read_alarms(kafka: KafkaSettings) -> KnownAlarms:
    """Return the alarms, as far as this shell can verify them.

    Raises:
        UserError: there is no such topic.
        Retryable: Kafka does not answer.
    """
    return await _read(kafka, reading_signatures(kafka))


async def _read(kafka: KafkaSettings, signatures: Signatures | None) -> KnownAlarms:
    book = AlarmBook(signatures)
    reader = LogReader(kafka, (kafka.topics.alarms,), book.take, book.forget)
    try:
        await reader.start()
        await reader.catch_up()
    except Fatal as error:
        raise UserError(str(error)) from None
    finally:
        await reader.stop()
    return KnownAlarms(book.all(), signatures is not None)


def own_name() -> str:
    """Return the name of this user on this machine.

    Raises:
        UserError: it is not known.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise UserError("this user has no name: say who clears the alarm, with --by NAME") from None


def check_certificate_after(
    alarm: AlarmRaised, thresholds: Thresholds | None, serving: tuple[ModelAnnounced, ...]
) -> str:
    """Return the version of thresholds whose certificate was measured after an alarm, and by which a service judges.

    One from reviews clears an alarm of a whole task, where all of them were drawn after it.

    Args:
        alarm: that stands.
        thresholds: beside the model; None: it has none.
        serving: the announced models.

    Raises:
        UserError: they have no such certificate, or nothing serves it.
    """
    or_else = "or say why with --because"
    if thresholds is None or (certificate := thresholds.certificate) is None:
        raise UserError(f"the model has no certificate: sprat evaluate FILE --write, {or_else}")
    if thresholds.task != alarm.task:
        raise UserError(f"the certificate is of the task {thresholds.task}, the alarm of {alarm.task}")
    highest = max(certificate.goals)
    if alarm.goal is not None and thousandths(highest) < thousandths(alarm.goal):
        raise UserError(f"the certificate is of {highest:g}, the goal that is not kept is {alarm.goal:g}; {or_else}")
    measurement = thresholds.certified_by
    if measurement is None or not _is_after(measurement.at, measurement.at_ms, alarm.raised_at):
        at = "an unknown day" if measurement is None else measurement.at
        raise UserError(f"the certificate was measured before the alarm, on {at}: measure again, {or_else}")
    if certificate.drawn == "reviews":
        _check_reviews_after(alarm, measurement.drawn_since, or_else)
    announced = [each.thresholds for each in serving if each.task == alarm.task and each.thresholds is not None]
    if thresholds.thresholds_version not in {each.thresholds_version for each in announced}:
        raise UserError(
            f"no service of {alarm.task} judges by the thresholds {thresholds.thresholds_version} of this certificate: "
            f"promote the version, or wait until its service has taken them over; {or_else}"
        )
    return thresholds.thresholds_version


def _check_reviews_after(alarm: AlarmRaised, drawn_since: int | None, or_else: str) -> None:
    """Check that reviews which certify say something of what raised an alarm.

    While an alarm stands, possibly nothing of its cell is kept, so possibly none of the reviews is of it.

    Raises:
        UserError: some may have been drawn before it, or in other cells alone.
    """
    if alarm.cell != ReviewCell():
        raise UserError(
            "the certificate is from reviews of the whole task, possibly without one of this tenant and language: "
            f"measure rows of these, labelled by people, with sprat evaluate FILE --write, {or_else}"
        )
    if drawn_since is None or drawn_since < alarm.raised_at:
        raise UserError(
            "the certificate is from reviews that may have been drawn before the alarm: sprat evaluate --from-reviews "
            "with a --period that begins after it, or, where nothing was kept since, sprat evaluate FILE --write with "
            f"new rows labelled by people; {or_else}"
        )


def _is_after(day: str, at_ms: int | None, raised_at: int) -> bool:
    """Return whether a measurement came after an alarm; one of the same day without a time did not."""
    if at_ms is not None:
        return at_ms > raised_at
    return day > datetime.fromtimestamp(raised_at / 1000, UTC).date().isoformat()


async def clear(
    kafka: KafkaSettings,
    alarm: AlarmRaised,
    signatures: Signatures,
    *,
    by: str,
    because: str | None,
    thresholds: str | None,
) -> AlarmRaised:
    """Write that an alarm is cleared, and return the record.

    Args:
        kafka: where alarms are.
        alarm: that stands.
        signatures: sign the record.
        by: who clears it.
        because: why.
        thresholds: version of those with the certificate.

    Raises:
        UserError: the alarm was raised or cleared again meanwhile.
        SpratError: Kafka did not acknowledge it.
    """
    after = cleared(alarm, by, because, thresholds)
    publisher = Publisher(kafka, "sprat-alarms")
    try:
        await publisher.start()
        await publisher.publish([alarm_record(kafka.topics, after, SOURCE, signatures)], _ACKNOWLEDGE_S)
    except SpratError as error:
        raise SpratError(f"{error}; nothing was cleared") from None
    finally:
        await publisher.stop()
    now = (await _read(kafka, signatures)).named(name_of(alarm))
    if now != after:
        raise UserError(f"{name_of(alarm)} was {now.state} again meanwhile: look at it, then clear it again")
    return after
