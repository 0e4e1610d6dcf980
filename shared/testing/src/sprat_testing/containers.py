"""Sprat as containers, as `compose.yaml` describes it, under a project name of its own.

It needs Docker with Compose 2.20 or later, and Sprat's images. These variables of the environment name others than the
default: `DOCKER` (the client), `SPRAT_IMAGES`, `SPRAT_TAG`, `KAFKA_IMAGE`, `REDIS_IMAGE`.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sprat.audit.keys import SigningKey
from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings
from sprat_contracts import TASKS
from sprat_local.processes.ports import HOST, free_port
from sprat_operations.services import ON_REQUEST

FOLDER = Path(__file__).parent / "compose"
"""The Compose file, and what it mounts."""
SERVICES = ("router", *(task for task in TASKS if task not in ON_REQUEST), "frontier")
SIMULATOR = "simulator"
_COMMAND_S = 600
_LAST = 2_000


def docker() -> str:
    """Return the path of the Docker client, or the name under which it was looked for."""
    name = os.environ.get("DOCKER") or "docker"
    return shutil.which(name) or name


class SpratStack:
    """One installation of containers."""

    def __init__(
        self,
        *,
        policy: Path | None = None,
        services: Sequence[str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Plan it.

        Args:
            policy: the policy file; None: the one of Sprat's demo.
            services: those to run; None: all. Kafka, Redis and the topics are always there.
            variables: of the Compose file; those of the environment count first.

        Raises:
            UserError: testcontainers is not installed.
        """
        try:
            from testcontainers.compose import DockerCompose  # noqa: PLC0415 - an extra, which the embedded backend does not need
        except ImportError:
            raise UserError(
                "containers need testcontainers: pip install --find-links dist 'sprat-testing[containers]'"
            ) from None
        self.services = tuple(services) if services is not None else (*SERVICES, SIMULATOR)
        self._port = free_port()
        self.variables = {
            "COMPOSE_PROJECT_NAME": f"sprat-test-{secrets.token_hex(3)}",
            "COMPOSE_PROFILES": SIMULATOR,
            "SPRAT_SECRET": secrets.token_hex(16),
            "SPRAT_AUDIT__KEY": SigningKey.generate().der_base64,
            "SPRAT_KAFKA_PORT": str(self._port),
            "SPRAT_MODELS_FOLDER": str(FOLDER),  # it must exist; there is no model in it
            **({} if policy is None else {"SPRAT_POLICY_FILE": str(policy.absolute())}),
            **(variables or {}),
        }
        """Of the Compose file. A change counts from the next command on."""
        self._env_file = Path(tempfile.gettempdir()) / f"{self.variables['COMPOSE_PROJECT_NAME']}.env"
        self._compose = DockerCompose(
            FOLDER,
            env_file=str(self._env_file),
            docker_command_path=docker(),
        )

    def __call__(self, *arguments: str) -> str:
        """Run `docker compose` and return what it prints.

        Raises:
            UserError: the command fails; the message ends with what it says.
        """
        self._env_file.touch(0o600)
        self._env_file.write_text("".join(f"{name}={value}\n" for name, value in self.variables.items()), "utf-8")
        command = [*self._compose.docker_compose_command(), *arguments]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
        if done.returncode:
            said = f"{done.stdout[-_LAST:]}{done.stderr[-_LAST:]}"
            raise UserError(f"docker compose {' '.join(arguments)} ends with {done.returncode}:\n{said}")
        return done.stdout

    @property
    def kafka(self) -> KafkaSettings:
        """How this machine reaches its Kafka."""
        return KafkaSettings(bootstrap=f"{HOST}:{self._port}")

    def start(self) -> None:
        """Start all, and wait until it is ready.

        Raises:
            UserError: something is missing, or does not become ready. Nothing is left running.
        """
        if reason := self.unavailable():
            raise UserError(f"containers cannot run here: {reason}")
        try:
            self("up", "--detach", "--wait", *self.services)
        except BaseException as error:  # Ctrl-C, too: no container may be left running
            if isinstance(error, UserError):
                error.add_note(self.report())
            self.stop()
            raise

    def unavailable(self) -> str | None:
        """Return why it cannot run here, such as an image that is missing; None where it can."""
        try:
            for arguments in (["compose", "version"], ["info"]):
                if reason := _refused(*arguments):
                    return reason
            images = sorted({*self("config", "--images", *self.services).split()})
            return next((reason for image in images if (reason := _refused("image", "inspect", image))), None)
        finally:
            self._env_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop all containers and remove them with their data."""
        self("down", "--volumes", "--timeout", "5")
        self._env_file.unlink()

    def kill(self, service: str) -> None:
        """Kill a container as a power cut would, and start it again."""
        self("kill", service)
        self("start", service)

    def report(self) -> str:
        """Return the last warnings and errors of the services."""
        lines = self("logs", "--no-color", "--tail", "200").splitlines()
        return "\n".join(line for line in lines if '"level": "warning"' in line or '"level": "error"' in line)[-_LAST:]


def unavailable(services: Sequence[str] = SERVICES, variables: Mapping[str, str] | None = None) -> str | None:
    """Return why containers of these services, and what they need, cannot run here; None where they can."""
    return SpratStack(services=services, variables=variables).unavailable()


def _refused(*arguments: str) -> str | None:
    """Return what the client says where a command fails."""
    try:
        done = subprocess.run([docker(), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"there is no program {docker()}: the variable DOCKER names the client"
    if done.returncode:
        return f"docker {' '.join(arguments)}: {(done.stderr.strip().splitlines() or ['it fails'])[-1]}"
    return None
