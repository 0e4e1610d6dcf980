"""One soak run: an installation, a driver, faults, and at its end the checker."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sprat.audit.keys import AUDIT_FOLDER, CHECKPOINTS
from sprat_intent.__main__ import SHIPPED
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import version_in
from sprat_local.installation.options import Options, Simulation
from sprat_operations.services import ServedModel
from tests.soak.brokers import ROOT, ProxiedBrokers
from tests.soak.checker import SoakReport, check
from tests.soak.faults import CONTROL_TOKEN, Faults, Place, copy_models, set_clock
from tests.soak.measure import Ends, Samples, save_metrics, settle
from tests.soak.plan import SERVICES, Fault, plan
from tests.soak.progress import Narrator, Progress
from tests.soak.provider import LOG_VARIABLE
from tests.soak.sender import TRANSACTIONS_SHARE, AcknowledgementLog, PlainSender, TransactionSender
from tests.soak.texts import ALLOW, POLICY, REDACT, Texts

_SENDING_SHARE: Final = 0.9
"""Of the minutes; the rest is for what still waits then."""
_HEADROOM: Final = 1.15
"""How much faster than even texts are sent: a broker that is away holds them up."""
_MOST_WAITING: Final = 20_000
_SETTLES_S: Final = 300.0
"""What still waits when the minutes are over has at least so long."""


def soak(seed: int, texts: int, minutes: float, folder: Path, *, brokers: int, faulty: bool) -> SoakReport:
    """Run once into an empty folder, where everything about it stays; return what the checker found."""
    place = _prepared(folder)
    seconds = 60 * minutes * _SENDING_SHARE
    planned = plan(seed, seconds, brokers) if faulty else ()
    (folder / "plan.json").write_text(json.dumps([asdict(fault) for fault in planned], indent=1), "utf-8")
    tell = Narrator(folder / "progress.log")
    over_at = time.monotonic() + 60 * minutes
    with running(folder, place, brokers, tell) as (installation, proxied), ExitStack() as stack:
        tell(f"{brokers} brokers and {', '.join(installation.processes)} run; {len(planned)} faults are planned")
        driver = SoakDriver(installation, proxied, place, planned, seed, folder, tell)
        stack.callback(driver.log.close)
        driver.send(texts, seconds)
        left = settle(installation, within_s=max(_SETTLES_S, over_at - time.monotonic()), tell=tell)
        driver.end()
        save_metrics(installation, folder / "metrics")
        summary = {"seed": seed, "wanted": texts, "minutes": minutes, "brokers": brokers, "waiting_at_the_end": left}
        summary |= driver.figures() | _restarts(installation)
        (folder / "summary.json").write_text(json.dumps(summary, indent=1), "utf-8")
        tell(f"{summary['texts']} texts, {summary['texts_per_s']} a second; {dict(driver.log.counts)}; {left} wait")
        report = check(
            folder,
            bootstrap=proxied.bootstrap,
            prefix=installation.topics.prefix,
            may_leave=(ALLOW, REDACT),
            quiet=not faulty,
            audit_verify=_audit_command(installation, proxied.bootstrap),
            clock_went_back=any(fault.kind == "clock" and fault.amount < 0 for fault in planned),
        )
    if left != 0:  # nobody can say of what waits that it is lost
        report.add("not settled in time", [f"{left} records wait" if left else "how many records wait is not known"])
    if driver.unacknowledged:
        report.add("unacknowledged at the end", [f"{driver.unacknowledged} records"])
    (folder / "report.json").write_text(report.as_json(), "utf-8")
    return report


class SoakDriver:
    """All that publishes, strikes and measures in one run."""

    def __init__(
        self,
        installation: Installation,
        proxied: ProxiedBrokers,
        place: Place,
        planned: Sequence[Fault],
        seed: int,
        folder: Path,
        tell: Narrator,
    ) -> None:
        names, texts = installation.topics, Texts(seed)
        written = [*map(names.results, ("intent", "language-id")), names.dead_letters]
        self.log = AcknowledgementLog(folder / "acks.jsonl")
        self.unacknowledged = 0
        self._partitions = names.partitions
        self._plain = PlainSender(proxied.bootstrap, names.texts, texts, self.log)
        self._transactions = TransactionSender(proxied.bootstrap, names.texts, texts, self.log, seed)
        self._ends = Ends(proxied.bootstrap, written, names.partitions)
        self._samples = Samples(installation, folder / "samples.jsonl", lambda: self.log.texts)
        self._faults = Faults(planned, installation, proxied, place, tell)
        self._progress = Progress(self._plain, self.log, self._ends, tell)
        self._sent_s = 0.0

    def send(self, texts: int, seconds: float) -> None:
        """Publish so many texts in these seconds, while faults happen; return when all are acknowledged."""
        per_s = _HEADROOM * texts / seconds
        self._transactions.per_s = TRANSACTIONS_SHARE * per_s
        for thread in (self._samples, self._progress, self._transactions, self._faults):
            thread.start()
        began = time.monotonic()
        held = lambda: self._progress.waiting > _MOST_WAITING  # noqa: E731 - short, and used here alone
        self._plain.send((1 - TRANSACTIONS_SHARE) * per_s, seconds, wanted=texts, held=held)
        self._sent_s = time.monotonic() - began
        self._faults.end()
        self._transactions.end()
        self.unacknowledged = self._plain.close(self._partitions, within_s=120)
        self.log.flush()

    def end(self) -> None:
        """Say and measure no more, when nothing waits."""
        self._progress.end()
        self._samples.end()
        self.log.close()

    def figures(self) -> dict[str, Any]:
        """Return what was sent, and what happened to it."""
        return {
            "texts": self.log.texts,
            "sending_s": round(self._sent_s, 1),
            "texts_per_s": round(self.log.texts / self._sent_s, 1),
            "acknowledged": self.log.counts,
            "unacknowledged": self.unacknowledged,
            "failed": self._plain.failed,
            "transactions": self._transactions.ends,
            "results_and_letters": self._ends.look(),
            "faults": self._faults.done,
        }


@contextmanager
def running(folder: Path, place: Place, brokers: int, tell: Narrator) -> Iterator[tuple[Installation, ProxiedBrokers]]:
    """Run the installation of a soak."""
    environment = {"SPRAT_LOG_LEVEL": "warning"}
    provider = {
        "PYTHONPATH": str(ROOT),
        LOG_VARIABLE: str(place.provider_log),
        "SPRAT_SIMULATOR_CONTROL_TOKEN": CONTROL_TOKEN,
    }
    model = ServedModel("intent", "default", place.model, version_in(place.model, "intent"))
    options = Options(
        brokers=brokers,
        data=folder / "installation",
        policy=place.policy,
        services=(*SERVICES, "simulator"),
        models=(model,),
        simulation=Simulation(latency_ms=5, jitter_ms=5, invent=True),
        environment=environment,
        service_environment={"simulator": provider, "frontier": place.clock_variables()},
        modules={"simulator": "tests.soak.provider"},
        ready_timeout_s=120,
    )
    with ProxiedBrokers(brokers, environment) as proxied, Installation(options, on_notice=tell.notice) as installation:
        yield installation, proxied


def _prepared(folder: Path) -> Place:
    """Write the files of a run."""
    place = Place(
        policy=folder / "policy.yaml",
        clock=folder / "clock",
        provider_log=folder / "provider.jsonl",
        model=folder / "intents",
        other_model=folder / "other-intents",
    )
    place.policy.write_text(json.dumps(POLICY), "utf-8")  # JSON is YAML
    set_clock(place.clock, 0)
    copy_models(place, SHIPPED.parent)
    return place


def _restarts(installation: Installation) -> dict[str, Any]:
    each = [*installation.processes.items(), *installation.servers.items()]
    return {"restarts": {name: process.restarts for name, process in each}}


def _audit_command(installation: Installation, bootstrap: str) -> list[str]:
    audit = installation.folder / AUDIT_FOLDER
    where = ["--bootstrap", bootstrap, "--prefix", installation.topics.prefix]
    keys = ["--public-key", str(audit / "public.pem"), "--checkpoints", str(audit / CHECKPOINTS)]
    return [sys.executable, "-m", "sprat_cli", "audit", "verify", "--json", *keys, *where]
