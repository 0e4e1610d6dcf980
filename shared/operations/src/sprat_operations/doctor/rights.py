"""Checks of who else on this machine can read the secrets and the data, and reach Kafka."""

from collections.abc import Iterator
from pathlib import Path

from sprat.base.checks import Check, ok, warning
from sprat.base.settings import KafkaSettings
from sprat_operations.local_run import LocalRun

_OTHERS = 0o077
_LOOPBACK = ("127.", "localhost:", "[::1]:")


def check_rights(kafka: KafkaSettings, run: LocalRun | None) -> Iterator[Check]:
    """Check the files with secrets that are known here, and whether Kafka asks who its clients are.

    Args:
        kafka: how commands reach it.
        run: the running `sprat up` of this user; None if there is none.
    """
    files = [Path(".env")] if kafka.ssl_keyfile is None else [Path(".env"), Path(kafka.ssl_keyfile)]
    folders = [] if run is None else [Path(run.folder)]
    present = [path for path in (*files, *folders) if path.exists()]
    wide = [path for path in present if path.stat().st_mode & _OTHERS]
    for path in wide:
        fix = f"chmod {700 if path.is_dir() else 600} {path}"
        yield warning("rights", f"other users of this machine can read {path}, which holds secrets", fix)
    if present and not wide:
        yield ok("rights", f"nobody else can read {', '.join(map(str, present))}")
    yield _reach(kafka)


def _reach(kafka: KafkaSettings) -> Check:
    if kafka.security_protocol != "PLAINTEXT":
        return ok("rights", f"Kafka is reached by {kafka.security_protocol}")
    if all(address.strip().startswith(_LOOPBACK) for address in kafka.bootstrap.split(",")):
        return ok(
            "rights",
            "Kafka is reached on this machine, without a password: as intended where all users of this machine may "
            "read and write the texts",
        )
    return warning(
        "rights",
        "Kafka asks for no password and encrypts nothing: whoever reaches it can read and write all texts",
        "SASL_SSL, ACLs and quotas: docs/kafka-security.md",
    )
