"""A soak: texts for many minutes, and a fault every 15 to 30 s. `make soak SEED=1 TEXTS=300000 MINUTES=50`.

An installation with router, intent, language-id and frontier takes the texts of a librdkafka driver, which writes down
what is acknowledged. Then a checker that knows the contract alone says what is missing, double or leaked. Exit code 1
on a fault of Sprat's.
"""

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from sprat.audit.keys import AUDIT_FOLDER, CHECKPOINTS
from sprat_intent.__main__ import SHIPPED
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import version_in
from sprat_local.installation.options import Options, Simulation
from sprat_local.processes.notices import Notice
from sprat_operations.services import ServedModel
from tests.soak.brokers import ROOT, ProxiedBrokers
from tests.soak.checker import SoakReport, check
from tests.soak.faults import CONTROL_TOKEN, Faults, Place, copy_models, set_clock
from tests.soak.measure import Ends, Samples, save_metrics, settle
from tests.soak.plan import SERVICES, plan
from tests.soak.provider import LOG_VARIABLE
from tests.soak.sender import TRANSACTIONS_SHARE, AcknowledgementLog, PlainSender, TransactionSender
from tests.soak.slopes import LEAST_TEXTS
from tests.soak.texts import ALLOW, POLICY, REDACT, Texts

BROKERS: Final = 3
_SENDING_SHARE: Final = 0.9
"""Of the minutes; the rest is for what still waits then."""
_HEADROOM: Final = 1.15
"""How much faster than even texts are sent: a broker that is away holds them up."""
_MOST_WAITING: Final = 20_000
_SETTLES_S: Final = 300.0
"""What still waits when the minutes are over has at least so long."""
_TELL_S: Final = 10.0


class Narrator:
    """Says what happens, on standard output and in a file."""

    def __init__(self, file: Path) -> None:
        self._began = time.monotonic()
        self._file = file

    def __call__(self, line: str) -> None:
        """Say a line."""
        said = f"{time.monotonic() - self._began:7.1f} s  {line}"
        print(said, flush=True)
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(said + "\n")

    def notice(self, notice: Notice) -> None:
        """Say what the installation reports, but for the logs of its services, which have files of their own."""
        self(f"  {notice.level}: {notice.service}: {notice.text.splitlines()[0]}")


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


def soak(seed: int, texts: int, minutes: float, folder: Path, *, brokers: int, faulty: bool) -> SoakReport:
    """Run once into an empty folder, where everything about it stays; return what the checker found."""
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
    tell = Narrator(folder / "progress.log")
    log = AcknowledgementLog(folder / "acks.jsonl")
    seconds = 60 * minutes * _SENDING_SHARE
    planned = plan(seed, seconds, brokers) if faulty else ()
    (folder / "plan.json").write_text(json.dumps([asdict(fault) for fault in planned], indent=1), "utf-8")
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(log.close)
        installation, proxied = stack.enter_context(running(folder, place, brokers, tell))
        tell(f"{brokers} brokers and {', '.join(installation.processes)} run; {len(planned)} faults are planned")
        names = installation.topics
        record_texts = Texts(seed)
        plain = PlainSender(proxied.bootstrap, names.texts, record_texts, log)
        transactions = TransactionSender(proxied.bootstrap, names.texts, record_texts, log, seed)
        results = Ends(
            proxied.bootstrap, [*map(names.results, ("intent", "language-id")), names.dead_letters], names.partitions
        )
        samples = Samples(installation, folder / "samples.jsonl", lambda: log.texts)
        faults = Faults(planned, installation, proxied, place, tell)
        per_s = _HEADROOM * texts / seconds
        transactions.per_s = TRANSACTIONS_SHARE * per_s
        progress = Progress(plain, log, results, tell)
        for thread in (samples, progress, transactions, faults):
            thread.start()
        sending = time.monotonic()
        plain.send(
            (1 - TRANSACTIONS_SHARE) * per_s, seconds, wanted=texts, held=lambda: progress.waiting > _MOST_WAITING
        )
        sent_s = time.monotonic() - sending
        faults.end()
        transactions.end()
        unacknowledged = plain.close(names.partitions, within_s=120)
        log.flush()
        left = settle(installation, within_s=max(_SETTLES_S, began + 60 * minutes - time.monotonic()), tell=tell)
        progress.end()
        log.close()
        samples.end()
        save_metrics(installation, folder / "metrics")
        restarts = {
            name: each.restarts for name, each in [*installation.processes.items(), *installation.servers.items()]
        }
        summary = {
            "seed": seed,
            "texts": log.texts,
            "wanted": texts,
            "minutes": round((time.monotonic() - began) / 60, 2),
            "sending_s": round(sent_s, 1),
            "texts_per_s": round(log.texts / sent_s, 1),
            "brokers": brokers,
            "acknowledged": log.counts,
            "unacknowledged": unacknowledged,
            "failed": plain.failed,
            "transactions": transactions.ends,
            "waiting_at_the_end": left,
            "results_and_letters": results.look(),
            "restarts": restarts,
            "faults": faults.done,
            "bootstrap": proxied.bootstrap,
            "partitions": names.partitions,
            "prefix": names.prefix,
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1), "utf-8")
        tell(f"{log.texts} texts in {sent_s:.0f} s, {summary['texts_per_s']} a second; {dict(log.counts)}; {left} wait")
        report = check(
            folder,
            bootstrap=proxied.bootstrap,
            prefix=names.prefix,
            may_leave=(ALLOW, REDACT),
            quiet=not faulty,
            audit_verify=_audit_command(installation, proxied.bootstrap),
        )
    if left != 0:  # nobody can say of what waits that it is lost
        report.add("not settled in time", [f"{left} records wait" if left else "how many records wait is not known"])
    report.add("unacknowledged at the end", [f"{unacknowledged} records"] if unacknowledged else ())
    (folder / "report.json").write_text(report.as_json(), "utf-8")
    return report


def _audit_command(installation: Installation, bootstrap: str) -> list[str]:
    audit = installation.folder / AUDIT_FOLDER
    where = ["--bootstrap", bootstrap, "--prefix", installation.topics.prefix]
    keys = ["--public-key", str(audit / "public.pem"), "--checkpoints", str(audit / CHECKPOINTS)]
    return [sys.executable, "-m", "sprat_cli", "audit", "verify", *keys, *where]


def print_report(report: SoakReport) -> None:
    """Say what is wrong, with the ids and places of the first examples."""
    figures = ", ".join(f"{name} {value}" for name, value in report.figures.items())
    print(f"checked: {figures}")
    for slope in report.slopes if report.figures["texts"] >= LEAST_TEXTS else ():
        print(f"  in 100,000 texts: {slope['process'] or 'all'} {slope['what']} {slope['per_100k']:+,.0f}")
    for each in report.not_checked:
        print(f"  not checked: {each}")
    for kind, found in report.findings.items():
        print(f"FAULT: {kind}: {found['count']}")
        for example in found["examples"]:
            print(f"    {example}")
    print("no fault was found" if report.ok else f"{len(report.findings)} kinds of faults")


class Progress(threading.Thread):
    """Says every few seconds how far a run is, and knows how much waits in the installation."""

    def __init__(self, plain: PlainSender, log: AcknowledgementLog, results: Ends, tell: Narrator) -> None:
        super().__init__(name="soak-progress", daemon=True)
        self.waiting = 0
        """Texts that are acknowledged and have no Result, about: a text may have two, and a Result may stand twice."""
        self._plain, self._log, self._results, self._tell = plain, log, results, tell
        self._over = threading.Event()

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Say it until `end` is called."""
        while not self._over.wait(_TELL_S):
            ended = self._results.look()
            self.waiting = max(0, self._log.texts + self._log.counts["broken"] - ended)
            self._log.flush()
            self._tell(f"{self._plain.sent} sent, {dict(self._log.counts)} acknowledged, {ended} Results and letters")


def main() -> int:
    """Run a soak, then its checker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=3_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--no-faults", action="store_true", help="none: for what memory and disk do over many texts")
    parser.add_argument("--brokers", type=int, default=BROKERS)
    parser.add_argument("--folder", type=Path, help="an empty one, which stays; else a new one, which stays on a fault")
    options = parser.parse_args()
    folder = options.folder or Path(mkdtemp(prefix="sprat-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        print(f"{folder} is not empty: name another folder", file=sys.stderr)
        return 2
    faulty = not options.no_faults
    report = soak(options.seed, options.texts, options.minutes, folder, brokers=options.brokers, faulty=faulty)
    print_report(report)
    if report.ok and options.folder is None:
        shutil.rmtree(folder)
    else:
        print(f"everything about this run is in {folder}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
