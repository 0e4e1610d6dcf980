"""The second place, which holds the checkpoints: a folder, or another Kafka."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiokafka.errors import KafkaError

from sprat.audit.chain import SignedCheckpoint
from sprat.audit.settings import AuditSettings
from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import OutRecord, Publisher
from sprat_contracts.wire import SIGNATURE


class NotWritten(SpratError):
    """The second place did not take a checkpoint."""


class CheckpointPlace(Protocol):
    """Where checkpoints go."""

    async def write(self, checkpoint: SignedCheckpoint) -> None:
        """Write one, and return when it is there to stay.

        Raises:
            NotWritten: it is not.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as the second place holds it; not checked."""

    place: str
    """File and line, or topic, partition and offset."""
    value: bytes
    signature: bytes


class CheckpointFolder:
    """A folder with one file for each writer; a line is a signature, a space, and the checkpoint in JSON."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._torn = False

    async def write(self, checkpoint: SignedCheckpoint) -> None:
        """Append a line, and have it written to the disk."""
        try:
            await asyncio.to_thread(self._append, checkpoint)
        except OSError as error:
            self._torn = True
            raise NotWritten(f"{self._folder}: {error.strerror}") from None

    def _append(self, checkpoint: SignedCheckpoint) -> None:
        line = checkpoint.signature + b" " + checkpoint.value + b"\n"
        descriptor = os.open(self._folder / f"{checkpoint.writer}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, b"\n" + line if self._torn else line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._torn = False

    def read(self) -> Iterator[StoredCheckpoint]:
        """Return all checkpoints. A line without an end was not written completely: its writer was killed.

        Raises:
            UserError: the folder cannot be read.
        """
        try:
            for path in sorted(self._folder.iterdir()):
                if path.suffix != ".jsonl":
                    continue
                for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
                    if line.endswith(b"\n") and line.strip():
                        # The signature itself has two spaces: algorithm, key, base64.
                        algorithm, identity, encoded, value = (*line.rstrip(b"\n").split(b" ", 3), b"", b"", b"")[:4]
                        yield StoredCheckpoint(
                            f"{path} line {number}", value, b" ".join((algorithm, identity, encoded))
                        )
        except OSError as error:
            raise UserError(f"--checkpoints {self._folder}: {error.strerror}") from None


class CheckpointTopic:
    """The topic for checkpoints on another Kafka."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    async def write(self, checkpoint: SignedCheckpoint) -> None:
        """Publish one, and wait for the acknowledgement."""
        out = OutRecord(self._topic, checkpoint.writer.encode(), checkpoint.value, [(SIGNATURE, checkpoint.signature)])
        try:
            await self._publisher.publish([out])
        except SpratError as error:
            raise NotWritten(f"{self._topic}: {error}") from None


async def open_place(settings: AuditSettings, stack: AsyncExitStack) -> CheckpointPlace | None:
    """Return the place that the settings name, which is closed with the stack; None where they name none.

    Raises:
        UserError: they name two, or it cannot be reached.
    """
    if settings.checkpoints is not None and settings.kafka is not None:
        raise UserError("SPRAT_AUDIT__CHECKPOINTS and SPRAT_AUDIT__KAFKA__BOOTSTRAP: set one of them")
    if settings.checkpoints is not None:
        return CheckpointFolder(settings.checkpoints)
    if settings.kafka is None:
        return None
    publisher = Publisher(settings.kafka, "sprat-audit")
    try:
        await publisher.start()
    except (KafkaError, OSError) as error:
        raise UserError(
            f"SPRAT_AUDIT__KAFKA__BOOTSTRAP: {settings.kafka.bootstrap} cannot be reached: {type(error).__name__}"
        ) from None
    stack.push_async_callback(publisher.stop)
    return CheckpointTopic(publisher, topic_of(settings.kafka))


def topic_of(kafka: KafkaSettings) -> str:
    """Return the name of the topic for checkpoints."""
    return f"{kafka.prefix}.audit.checkpoints.v1"
