"""`sprat bench`: options, texts, the process meter, which rate counts as sustained; and the bare model beside it."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat.base import plugins
from sprat.base.errors import SpratError, UserError
from sprat.base.settings import section_field
from sprat_cli.main import app
from sprat_contracts import TASKS, TextSubmitted
from sprat_local.bench.command import parse_rates
from sprat_local.bench.measure import Load, Sent, TextEnd
from sprat_local.bench.open_loop import NEVER
from sprat_local.bench.options import POLICY, bench_options
from sprat_local.bench.resources import ProcessMeter
from sprat_local.bench.texts import BenchMessages, BenchRecord, BenchText, load_texts
from sprat_local.installation.options import choose_services
from sprat_policy import KeepRule, TaskFile, load_policy
from tests.bench import bare_model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rates", "fast"], "--rates fast: needs per cents of saturation, as --rates 10,50,90,110"),
        (["--file", "nope.txt"], "nope.txt: there is no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["bench", *arguments])

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"sprat: {message}\n")


def test_rates_are_shares_of_saturation():
    assert parse_rates("10, 50,110") == [0.1, 0.5, 1.1]


@pytest.mark.parametrize("option", ["", "fast", "0", "-5", "nan", "inf", "2000", "10/s"])
def test_a_wrong_rate_is_refused(option):
    with pytest.raises(UserError):
        parse_rates(option)


@pytest.mark.parametrize("task", TASKS)
def test_the_samples_of_every_task_are_published_as_services_read_them(task):
    texts = load_texts(task)
    (record,) = BenchMessages(texts, task, "legal").records([0])
    submitted = TextSubmitted.model_validate_json(record.value)

    assert len(texts) > 20
    assert submitted.tasks.known[task].model == "legal"
    assert submitted.frontier == "deny"


def test_no_two_texts_share_a_key_of_a_cache():
    messages = BenchMessages([BenchText("hi", "en", None)], "intent", "default")
    records = messages.records(range(5))
    tenants = {TextSubmitted.model_validate_json(record.value).tenant for record in records}

    assert len(tenants) == 5
    assert [messages.number_of(record.key.decode()) for record in records] == [0, 1, 2, 3, 4]
    assert messages.number_of("another-1") is None
    assert BenchMessages([BenchText("hi", "en", None)], "intent", "default").number_of(records[0].key.decode()) is None


def test_own_texts_are_read_and_a_mistake_in_them_is_reported_without_the_text(tmp_path: Path):
    file = tmp_path / "mine.txt"
    file.write_text("hello\nwhere is my parcel\n", "utf-8")
    assert [text.text for text in load_texts("intent", file, language="de")] == [
        "hello",
        "where is my parcel",
    ]

    file.write_text("hello\n" + "secret" * 5000, "utf-8")
    with pytest.raises(UserError, match=r"mine\.txt: row 2, .*20,000") as raised:
        load_texts("intent", file)
    assert "secret" not in str(raised.value)


def test_a_wrong_tag_is_reported_with_its_field(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("hello", "utf-8")
    with pytest.raises(UserError, match=r"mine\.txt: text 1: language: "):
        load_texts("intent", file, language="no tag")


@pytest.mark.parametrize("task", TASKS)
def test_the_parts_of_every_service_are_found(task):
    service = plugins.load_specialist(task)
    assert section_field(task) in service.settings.model_fields
    assert service.load(service.shipped).card.task == task


class EnglishOnly:
    def declines(self, text, options):
        return None if text.language == "en" else "declined"


class CountingModel:
    def __init__(self):
        self.batches = []

    def answer(self, questions):
        self.batches.append(len(questions))
        return []


def test_the_bare_model_answers_what_the_service_accepts_in_batches_of_its_size():
    texts = [BenchText("a", "en", None), BenchText("b", "xx", None), BenchText("c", "en", None)]
    model = CountingModel()

    assert bare_model.served(EnglishOnly(), "intent", texts) == [0, 2]
    assert bare_model.cpu_s(model, ["question"] * 130) >= 0
    assert model.batches == [64, 64, 2]


def test_the_policy_keeps_every_answer(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, "utf-8")
    policy = load_policy(file)

    kept = KeepRule(keep_at=0.0, uncalibrated="keep", uncalibrated_keep_at=0.0)
    assert {task: policy.task(task).rule("default", "en") for task in TASKS} == dict.fromkeys(TASKS, kept)
    assert kept.out_of_scope == "keep"
    assert policy.tenant("bench-1").frontier == "deny"


def test_this_process_is_measured_beside_the_others():
    meter = ProcessMeter({})
    before = meter.cpu_s()["sprat bench"]
    sum(number * number for number in range(300_000))

    assert meter.cpu_s()["sprat bench"] >= before
    assert meter.peak_mb() == {}
    assert meter.others_s() > 0


def test_a_process_that_has_died_is_reported():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        meter = ProcessMeter({"intent": process.pid})
        assert meter.peak_mb()["intent"] > 0
        process.communicate()

    with pytest.raises(SpratError, match="intent died during the measurement"):
        meter.cpu_s()


def test_a_task_from_a_file_is_measured_with_every_answer_kept(tmp_path: Path) -> None:
    file = TaskFile(kind="classification", labels={"a": "x", "b": ""}, keep_at=0.9, out_of_scope="escalate")
    options = bench_options("mood", tmp_path, task_file=file)
    run = options.task_files["mood"]
    assert (run.keep_at, run.out_of_scope, run.uncalibrated, run.labels) == (0, "keep", "keep", file.labels)
    assert [spec.name for spec in choose_services(options)[0]] == ["router", "mood"]


def load(per_s: float, latencies: list[float | None]) -> Load:
    """Return a load of texts that are due one after the other."""
    record = BenchRecord(0, b"", b"", ())
    due = [number / per_s for number in range(len(latencies))]
    ends = [
        None if each is None else TextEnd(at + each, round(1000 * (at + each)), declined=False)
        for at, each in zip(due, latencies, strict=True)
    ]
    return Load([Sent(record, at, round(1000 * at), end) for at, end in zip(due, ends, strict=True)], {"intent": 2.0})


def test_a_rate_at_which_the_backlog_grows_is_not_sustained():
    assert load(20.0, [0.1] * 140).sustained
    assert not load(20.0, [*[0.1] * 139, None]).sustained
    assert not load(20.0, [0.05 * number for number in range(140)]).sustained
    assert not load(20.0, [5.0] * 140).sustained, "it was there from the first text on"
    assert load(20.0, [0.5] * 10).sustained, "the arrivals of one second may still be in progress"


def test_figures_of_a_load_are_of_the_texts_that_ended():
    measured = load(10.0, [*[0.1] * 10, None])
    assert measured.texts_per_s == pytest.approx(10.0)
    assert measured.cpu_s_per_1000("intent") == 200.0
    assert (measured.latency.p50, measured.latency.max) == (pytest.approx(0.1), NEVER)
    with pytest.raises(SpratError, match="no text ended"):
        _ = load(10.0, [None]).texts_per_s
