"""Carries out the faults of a plan on a running installation, one after the other."""

import json
import shutil
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from sprat.base.errors import SpratError
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.rollout import ModelRollout
from sprat_local.processes.notices import discard_notice
from sprat_operations.services import instance_name
from sprat_training.versions.promotion import promotion_of, return_of
from tests.soak.brokers import ProxiedBrokers
from tests.soak.plan import Fault
from tests.soak.provider import cut_file
from tests.soak.texts import OTHER_POLICY, POLICY

CONTROL_TOKEN: Final = "the token of a soak run"
FAKETIME: Final = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
"""Debian's `faketime`; None: clocks stay as they are."""
_BEHAVIOURS: Final[dict[str, dict[str, Any]]] = {
    "429": {"error_rate": 1.0, "error_status": 429},
    "500": {"error_rate": 1.0, "error_status": 500},
    "slow": {"latency_ms": 12_000},
}
_AS_BEFORE: Final = {"error_rate": 0.0, "error_status": 500, "latency_ms": 5}
_STORM: Final = 3
"""How often a further instance comes and goes."""
_RESTART_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """The files and programs that faults change."""

    policy: Path
    clock: Path
    """What `faketime` adds to the clock of the frontier."""
    provider_log: Path
    model: Path
    """The folder that serves the intents."""
    other_model: Path

    def clock_variables(self) -> dict[str, str]:
        """Return the variables that let the clock of a process follow the file."""
        if FAKETIME is None:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its repair of waits on the monotonic clock is for an old glibc. With it, threads that wait for Python's
            # lock wait wrongly: of a frontier under load hundreds of records a minute were not acknowledged in time.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


class Faults(threading.Thread):
    """Carries a plan out, from a thread of its own."""

    def __init__(
        self,
        plan: Sequence[Fault],
        installation: Installation,
        brokers: ProxiedBrokers,
        place: Place,
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(name="soak-faults", daemon=True)
        self.done: list[dict[str, Any]] = []
        """Each fault, when it began, how long it took, and what went wrong with carrying it out."""
        self._plan = plan
        self._installation = installation
        self._brokers = brokers
        self._place = place
        self._tell = tell
        self._over = threading.Event()
        self._rollout = ModelRollout(installation, discard_notice)

    def end(self) -> None:
        """End the fault under way, and begin no other."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Carry out each fault when it is due, or when the one before is over."""
        began = time.monotonic()
        for fault in self._plan:
            if self._over.wait(max(0.0, began + fault.at_s - time.monotonic())):
                return
            self._tell(f"fault: {fault}")
            at = time.monotonic()
            problem = ""
            try:
                getattr(self, f"_{fault.kind}")(fault)
            except (SpratError, OSError, redis.RedisError) as error:  # such as a service that does not start again
                problem = f"{type(error).__name__}: {error}"
                self._tell(f"  not carried out: {problem}")
            took = round(time.monotonic() - at, 1)
            self.done.append({"at_s": round(at - began, 1), "fault": str(fault), "took_s": took, "problem": problem})

    def _kill(self, fault: Fault) -> None:
        self._process(fault.target).kill()

    def _freeze(self, fault: Fault) -> None:
        process = self._process(fault.target)
        process.kill(signal.SIGSTOP)
        try:
            self._lasts(fault)
        finally:
            process.kill(signal.SIGCONT)

    def _flush(self, _: Fault) -> None:
        with redis.Redis.from_url(self._installation.redis_url, socket_timeout=10) as client:
            client.flushall()

    def _provider(self, fault: Fault) -> None:
        cut = cut_file(self._place.provider_log)
        try:
            if fault.target == "cut":
                cut.touch()
            else:
                self._behave(_BEHAVIOURS[fault.target])
            self._lasts(fault)
        finally:
            cut.unlink(missing_ok=True)
            self._behave(_AS_BEFORE)

    def _behave(self, behaviour: dict[str, Any]) -> None:
        port = self._installation.processes["simulator"].port
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/control",
            json.dumps(behaviour).encode(),
            {"Authorization": f"Bearer {CONTROL_TOKEN}", "Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def _cut(self, fault: Fault) -> None:
        self._brokers.route(_number(fault), cut=True)
        self._lasts(fault)
        self._brokers.route(_number(fault))

    def _slow(self, fault: Fault) -> None:
        self._brokers.route(_number(fault), delay_s=fault.amount / 1000)
        self._lasts(fault)
        self._brokers.route(_number(fault))

    def _promote(self, _: Fault) -> None:
        """Let the other version of the model take the place of the one that serves, as `sprat promote` does."""
        place = self._place
        first = place.other_model.exists()
        (promotion_of(place.model, place.other_model) if first else return_of(place.model)).carry_out()
        self._rollout.check()

    def _policy(self, _: Fault) -> None:
        policy = self._place.policy
        present = json.loads(policy.read_text("utf-8"))
        following = policy.with_suffix(".new")
        following.write_text(json.dumps(POLICY if present == OTHER_POLICY else OTHER_POLICY), "utf-8")
        following.replace(policy)
        for service in ("router", "frontier"):
            self._installation.rolling_restart(service)

    def _rebalances(self, fault: Fault) -> None:
        """Let a further instance come and go, again and again."""
        for _ in range(_STORM):
            try:
                self._installation.start_service(fault.target, instance=2)
                self._over.wait(0.5)
            finally:
                self._installation.stop_service(instance_name(fault.target, 2))
            if self._over.is_set():
                return

    def _clock(self, fault: Fault) -> None:
        if FAKETIME is None:
            raise SpratError("there is no libfaketimeMT.so.1: apt-get install faketime")
        set_clock(self._place.clock, fault.amount)
        self._lasts(fault)
        set_clock(self._place.clock, 0)

    def _lasts(self, fault: Fault) -> None:
        self._over.wait(fault.lasts_s)

    def _process(self, name: str) -> Any:
        servers = self._installation.servers
        if name in servers or name in self._installation.processes:
            return servers[name] if name in servers else self._installation.processes[name]
        return servers["kafka"]  # the only broker


def _number(fault: Fault) -> int:
    return int(fault.target.rpartition("#")[2])


def set_clock(clock: Path, seconds: float) -> None:
    """Let the clock of processes that follow the file be so many seconds ahead."""
    following = clock.with_suffix(".new")
    following.write_text(f"{seconds:+.0f}\n", "ascii")
    following.replace(clock)


def copy_models(place: Place, artefacts: Path) -> None:
    """Copy both shipped models of intents: the one that serves first, and the one that is promoted."""
    shutil.copytree(artefacts / "en-fast", place.model)
    shutil.copytree(artefacts / "default", place.other_model)
