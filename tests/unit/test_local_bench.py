"""`sprat bench`: rates, texts, the bare model, the process meter."""

import subprocess
import sys
from pathlib import Path

import pytest

from sprat.base import plugins
from sprat.base.errors import SpratError, UserError
from sprat.base.settings import section_field
from sprat_contracts import TASKS, TextSubmitted
from sprat_local.bench import bare_model
from sprat_local.bench.bare_model import cpu_s, served
from sprat_local.bench.plan import BenchPlan, Rate, parse_rates
from sprat_local.bench.resources import ProcessMeter
from sprat_local.bench.session import POLICY, bare_variables, bench_options
from sprat_local.bench.texts import BenchMessages, BenchText, load_texts
from sprat_local.installation.options import choose_services
from sprat_policy import TaskFile, load_policy


def test_rates_are_shares_or_texts_a_second():
    assert parse_rates("10, 50%,200/s") == (Rate(0.1), Rate(0.5), Rate(None, 200.0))
    assert [rate.texts_per_s(400) for rate in parse_rates("10,200/s")] == [40.0, 200.0]


@pytest.mark.parametrize("option", ["", "fast", "0", "-5", "nan", "inf", "2000", "10/h", ",".join(["5"] * 21)])
def test_a_wrong_rate_is_reported_with_an_example(option):
    with pytest.raises(UserError, match="example: --rates 10,50,90,110"):
        parse_rates(option)


@pytest.mark.parametrize("task", TASKS)
def test_the_samples_of_every_task_are_published_as_services_read_them(task):
    texts = load_texts(BenchPlan(task))
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
    assert [text.text for text in load_texts(BenchPlan("intent", file=file, language="de"))] == [
        "hello",
        "where is my parcel",
    ]

    file.write_text("hello\n" + "secret" * 5000, "utf-8")
    with pytest.raises(UserError, match=r"mine\.txt: row 2, .*20,000") as raised:
        load_texts(BenchPlan("intent", file=file))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (BenchPlan("intent", file=Path("mine.txt"), language="no tag"), "--language: "),
        (BenchPlan("translation", target="no tag"), "--target: "),
    ],
)
def test_a_wrong_tag_is_reported_with_its_option(plan, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("hello", "utf-8")
    with pytest.raises(UserError, match=message):
        load_texts(plan)


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

    assert served(EnglishOnly(), "intent", texts) == [0, 2]
    assert cpu_s(model, ["question"] * 130) >= 0
    assert model.batches == [64, 64, 2]


def test_the_policy_keeps_every_answer(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, "utf-8")
    policy = load_policy(file)

    assert {task: policy.task(task).keep_at for task in TASKS} == dict.fromkeys(TASKS, 0.0)
    assert policy.tasks.intent.out_of_scope == "keep"
    assert policy.tenant("bench-1").frontier == "deny"


def test_this_process_is_measured_beside_the_others():
    meter = ProcessMeter({})
    before = meter.cpu_s()["sprat bench"]
    sum(number * number for number in range(300_000))

    assert meter.cpu_s()["sprat bench"] >= before
    assert meter.memory() == {}
    assert meter.others_s() > 0


def test_a_process_that_has_died_is_reported():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        meter = ProcessMeter({"intent": process.pid})
        assert meter.memory()["intent"].rss_mb > 0
        process.communicate()

    with pytest.raises(SpratError, match="intent died during the measurement"):
        meter.cpu_s()


def test_a_task_from_a_file_is_measured_with_every_answer_kept(tmp_path: Path) -> None:
    file = TaskFile(kind="classification", labels={"a": "x", "b": ""}, keep_at=0.9, out_of_scope="escalate")
    plan = BenchPlan("mood", task_file=file)
    options = bench_options(plan, tmp_path)
    run = options.task_files["mood"]
    assert (run.keep_at, run.out_of_scope, run.uncalibrated, run.labels) == (0, "keep", "keep", file.labels)
    assert [spec.name for spec in choose_services(options)[0]] == ["router", "mood"]
    assert bare_variables(plan, tmp_path) == {"SPRAT_TASKS": str(tmp_path / "tasks"), "SPRAT_CLASSIFY__TASK": "mood"}


def test_the_bare_model_of_a_task_from_a_file_is_the_one_that_its_service_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = BenchPlan("subject", task_file=TaskFile(kind="classification", labels={"food": "meals", "sport": ""}))
    bench_options(plan, tmp_path)
    for name, value in {**bare_variables(plan, tmp_path), "SPRAT_SECRET": "not used by the bare model"}.items():
        monkeypatch.setenv(name, value)
    model, handler = bare_model.load("subject")
    assert (model.card.name, handler.card.task) == ("zero-shot", "subject")
    texts = [BenchText("a good meal", "en", None), BenchText("buono", "xx", None)]
    assert bare_model.served(handler, "subject", texts) == [0]
