"""What services really write, with faults planted into it: the checker of soaks finds each one there, too."""

import json
from pathlib import Path

import pytest

from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from support.soak_lies import ALLOWED, LIES
from support.soak_run import SoakRun
from tests.soak.brokers import ROOT
from tests.soak.measure import save_metrics, settle
from tests.soak.plan import SERVICES
from tests.soak.provider import LOG_VARIABLE
from tests.soak.sender import AcknowledgementLog, PlainSender, TransactionSender
from tests.soak.texts import ALLOW, POLICY, REDACT, Texts

COUNT, PER_S, SEED = 500, 30, 1


@pytest.mark.timeout(600)
def test_faults_planted_into_real_topics_are_found(tmp_path: Path) -> None:
    run = real_run(tmp_path)
    honest = run.judged(tmp_path)
    assert honest.findings == {}
    assert {"broken", "aborted", "egress_records"} <= {name for name, figure in honest.figures.items() if figure}
    missed = []
    for name, (finding, change) in LIES.items():
        change(lying := run.copy())
        if finding not in lying.judged(tmp_path).findings:
            missed.append(name)
    assert missed == []
    for change in ALLOWED:
        figure = change(allowed := run.copy())
        report = allowed.judged(tmp_path, quiet=False)
        assert (report.findings, report.figures[figure]) == ({}, honest.figures[figure] + 1)


def real_run(folder: Path) -> SoakRun:
    """Let an installation without faults answer some texts, and read what it wrote."""
    (folder / "policy.yaml").write_text(json.dumps(POLICY), "utf-8")
    options = Options(
        policy=folder / "policy.yaml",
        services=(*SERVICES, "simulator"),
        simulation=Simulation(latency_ms=5, jitter_ms=5, invent=True),
        service_environment={"simulator": {"PYTHONPATH": str(ROOT), LOG_VARIABLE: str(folder / "provider.jsonl")}},
        modules={"simulator": "tests.soak.provider"},
    )
    log, texts = AcknowledgementLog(folder / "acks.jsonl"), Texts(SEED)
    with Installation(options) as installation:
        kafka = installation.bootstrap, installation.topics.texts, texts, log
        plain, transactions = PlainSender(*kafka), TransactionSender(*kafka, SEED)
        transactions.per_s = PER_S / 10
        transactions.start()
        plain.send(PER_S, 60, wanted=COUNT, held=lambda: False)
        transactions.end()
        assert plain.close(installation.topics.partitions, 60) == 0
        log.close()
        assert settle(installation, 120, print) == 0
        save_metrics(installation, folder / "metrics")
        return SoakRun.of(folder, installation.bootstrap, installation.topics.prefix, {ALLOW, REDACT})
