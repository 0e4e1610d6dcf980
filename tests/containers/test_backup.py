"""Backup and restore under Compose, with the commands of the page in their order."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat.audit.keys import SigningKey
from sprat.base.settings import KafkaSettings
from sprat_local.processes.ports import HOST, free_port
from support.chapters import Person, chapter, environment
from support.compose import DOCKER, images
from support.numbered_texts import final_results, one_each, publish, results
from support.readme import DOCS, ROOT
from support.stream import read_all
from support.traffic import DEFAULTS

COMPOSE = chapter(DOCS / "deploy/backup.md", "Back up and restore: Compose")
COUNT = 40
RUN = "docker compose run --rm --no-deps --no-TTY --entrypoint tar"
FOLDERS = {
    "kafka-data": f"{RUN} kafka -C /var/lib/kafka/data",
    "checkpoints": f"{RUN} frontier -C /var/lib/sprat/audit",
}
"""Name of the copy → how `tar` is run in the folder that it is of."""
CHECKPOINTS = "docker compose run --rm --no-deps --no-TTY --entrypoint ls frontier /var/lib/sprat/audit"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def kafka() -> KafkaSettings:
    """Return how this machine reaches the Kafka of the installation."""
    return KafkaSettings(bootstrap=f"{HOST}:{free_port()}")


@pytest.fixture
def person(tmp_path: Path, kafka: KafkaSettings) -> Iterator[Person]:
    """Return somebody in a folder `compose` of their own; the installation is removed afterwards."""
    folder, programs = tmp_path / "compose", tmp_path / "bin"
    shutil.copytree(ROOT / "compose", folder, ignore=shutil.ignore_patterns(".env", "backup", "kubernetes"))
    folder.chmod(0o755)  # user 10001 reads the policy
    programs.mkdir()
    (programs / "docker").symlink_to(DOCKER)
    variables = {
        "COMPOSE_PROJECT_NAME": f"sprat-test-{secrets.token_hex(3)}",
        "COMPOSE_PROFILES": "",
        "SPRAT_SECRET": secrets.token_hex(16),
        "SPRAT_AUDIT__KEY": SigningKey.generate().der_base64,
        "SPRAT_KAFKA_PORT": kafka.bootstrap.rpartition(":")[2],
        **images(),
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()), "utf-8")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    someone = Person(COMPOSE, folder, environment() | {"PATH": path})
    try:
        yield someone
    finally:
        someone.run("docker compose down --volumes --timeout 5")


@pytest.mark.usefixtures("compose")  # skipped where that cannot run
async def test_an_installation_is_brought_back_from_its_backup(person: Person, kafka: KafkaSettings) -> None:
    where = kafka.bootstrap, kafka.topics
    answered, in_hand, later = range(COUNT), range(COUNT, 2 * COUNT), range(2 * COUNT, 2 * COUNT + 1)
    before, whole = range(in_hand.stop), range(later.stop)
    person.run("docker compose up --detach --wait")
    await publish(*where, answered)
    assert await final_results(*where, DEFAULTS) == one_each(answered)
    person.run("docker compose stop intent")
    await publish(*where, in_hand)
    assert await results(*where) == one_each(answered)

    person.follow("install -d -m 700 backup")
    person.follow("docker compose stop")
    for copy, command in FOLDERS.items():
        person.follow(f"(umask 077; {command} -cz . > backup/{copy}.tar.gz)")
    checkpoints = person.run(CHECKPOINTS).out.split()
    assert checkpoints, "the frontier writes them by default"
    person.follow("docker compose up --detach --wait")
    await publish(*where, later)
    assert await final_results(*where, DEFAULTS) == one_each(whole)
    person.follow("cp -rpL .env policy.yaml models backup/")
    person.follow("(cd backup && find . -type f ! -name SHA256SUMS -exec sha256sum {} + > SHA256SUMS)")
    (person.folder / ".env").rename(person.folder / "lost")

    assert person.follow("(cd backup && sha256sum --check --quiet SHA256SUMS)").out == ""
    person.follow("cp -rp backup/.env backup/policy.yaml backup/models .")
    person.follow("docker compose down --volumes")
    for copy, command in FOLDERS.items():
        person.follow(f"{command} -xz < backup/{copy}.tar.gz")
    assert person.run(CHECKPOINTS).out.split() == checkpoints
    person.follow("docker compose up --detach --wait")
    assert await final_results(*where, DEFAULTS) == one_each(before), "nothing is lost, and nothing done twice"
    await publish(*where, later)
    assert await final_results(*where, DEFAULTS) == one_each(whole)
    assert await read_all(kafka.bootstrap, kafka.topics.dead_letters) == []
    assert person.left == []
