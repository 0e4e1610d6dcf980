"""The consumer of `docs/clients` in Python, as written; `tests/clients` has the other languages."""

import sys
from pathlib import Path

from conftest import Kafka
from support.result_consumers import CLIENTS, check_consumer


async def test_the_consumer_in_python(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    command = [sys.executable, str(CLIENTS / "python" / "results.py")]
    await check_consumer(kafka.bootstrap, prefix, command, tmp_path)
