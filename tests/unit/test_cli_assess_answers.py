"""What `sprat assess` refuses before any model reads a text."""

import re
from types import SimpleNamespace

import pytest

from sprat.errors import UserError
from sprat.model import Answer
from sprat_cli.assess.answers import NEVER_KEPT, FrontierSource, small_model_answers
from sprat_cli.assess.asked_task import INTENT, TaskOfModel, asked_task
from sprat_contracts import IntentOutput
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import read_labelled
from support.dataset_files import write_file

MODEL = SimpleNamespace(card=SimpleNamespace(kind=None, labels=("leave",), languages=("en",)))


def error_of(path):
    with pytest.raises(UserError) as caught:
        small_model_answers(MODEL, read_labelled(path), ONE, "en", "oos")
    return str(caught.value).removeprefix(f"{path}: ")


def test_the_error_names_a_label_that_the_model_does_not_know(tmp_path):
    path = write_file(tmp_path, "a.csv", "text,label\n" + "".join(f"text {number},badge\n" for number in range(4)))
    assert error_of(path).startswith('row 2, column "label": the model has no label "badge"; correct it')


def test_the_error_shows_no_label_that_may_be_a_text(tmp_path):
    path = write_file(tmp_path, "a.csv", "text,label\nhello,My name is Anna\nbye,I am Ben\n")
    assert error_of(path).startswith('row 2, column "label": the model has no such label; correct it')


def test_labels_written_like_labels_are_shown_even_if_none_repeats(tmp_path):
    path = write_file(tmp_path, "a.csv", "text,label\nhello,report_lost\nbye,badge-2\n")
    assert error_of(path).startswith('row 2, column "label": the model has no label "report_lost"; correct it')


@pytest.mark.parametrize(
    ("of_none", "confidences"),
    [(None, (0.9, 0.9, 0.7)), (0.8, (0.9, 0.9, NEVER_KEPT)), (1.0, (0.9, NEVER_KEPT, NEVER_KEPT))],
)
def test_an_answer_without_a_label_that_the_card_does_not_keep_is_kept_at_no_keep_at(tmp_path, of_none, confidences):
    path = write_file(tmp_path, "a.csv", "text,label\none,leave\ntwo,oos\nthree,oos\n")
    found = [Answer(IntentOutput(label=label), sure) for label, sure in (("leave", 0.9), (None, 0.9), (None, 0.7))]
    card = SimpleNamespace(**vars(MODEL.card), name="hr", version="1", lexical=None, keep_at_outside=of_none)
    model = SimpleNamespace(card=card, answer=lambda questions: found[: len(questions)])
    assert small_model_answers(model, read_labelled(path), ONE, "en", "oos").confidences == confidences


@pytest.fixture
def frontier(monkeypatch, tmp_path):
    """Return a function that makes the source of a frontier's answers, with no settings from outside the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA__BOOTSTRAP", "SECRET"):
        monkeypatch.delenv(f"SPRAT_{name}", raising=False)

    def frontier(bootstrap=None):
        return FrontierSource(None, "http://x/v1", "m", "1/1", None, 0.0, None, ColumnNames(), bootstrap=bootstrap)

    return frontier


def test_without_a_broker_there_is_nowhere_to_write_egress_records(frontier, monkeypatch):
    monkeypatch.setenv("SPRAT_KAFKA__PREFIX", "test")
    assert frontier().broker() is None


def test_a_broker_is_given_by_the_option_or_by_the_environment(frontier, monkeypatch):
    monkeypatch.setenv("SPRAT_SECRET", "a secret of sixteen letters")
    by_option, _ = frontier("127.0.0.1:1").broker()
    monkeypatch.setenv("SPRAT_KAFKA__BOOTSTRAP", "127.0.0.1:2")
    by_environment, secret = frontier().broker()
    assert (by_option.bootstrap, by_environment.bootstrap) == ("127.0.0.1:1", "127.0.0.1:2")
    assert secret.get_secret_value() == "a secret of sixteen letters"


def test_a_broker_needs_the_services_secret(frontier, monkeypatch):
    monkeypatch.setenv("SPRAT_SECRET", "short")
    with pytest.raises(UserError, match="SPRAT_SECRET is missing or too short"):
        frontier("127.0.0.1:1").broker()


def test_asking_needs_a_policy(frontier):
    with pytest.raises(UserError, match="--frontier sends texts to a provider: it needs --policy FILE"):
        frontier().check(budget=False, denied=False)


SETS = TaskOfModel(INTENT, ("badge", "laptop"), several=True)
ONE = TaskOfModel(INTENT, ("badge", "laptop"), several=False)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Return a function that asks for the task of a model, beside files of tasks by their names."""
    monkeypatch.delenv("SPRAT_TASKS", raising=False)
    (tmp_path / "tasks").mkdir()

    def asked(model, named=None, *, of_card=INTENT, writes=False, **files):
        for name, file in files.items():
            (tmp_path / "tasks" / f"{name}.yaml").write_text(file)
        policy = tmp_path / "policy.yaml"
        return asked_task(named, policy, tmp_path / "model", model, of_card=of_card, writes=writes)

    return asked


FILE = "kind: {kind}\nlabels: {{badge: a card, laptop: }}\nartefact: {artefact}\n"
OURS, OTHERS = "../model", "../other"


def test_the_task_is_the_one_whose_file_names_the_model(asked):
    ours, others = (FILE.format(kind="multi_label", artefact=each) for each in (OURS, OTHERS))
    found = asked(SETS, ours=ours, others=others)
    assert (found.name, found.labels, found.files["ours"].labels["badge"]) == ("ours", SETS.labels, "a card")
    assert list(found.files) == ["ours"]
    assert asked(SETS, "others").name == "others"
    one = asked(ONE, one=FILE.format(kind="classification", artefact=OURS))
    assert (one.name, one.several) == ("one", False)


def test_a_model_of_one_label_without_a_file_is_asked_about_as_an_intent(asked):
    assert asked(ONE, other=FILE.format(kind="classification", artefact=OTHERS)) == ONE
    named = asked(ONE, INTENT, one=FILE.format(kind="classification", artefact=OURS))
    assert named == ONE


def test_several_labels_are_one_in_a_fixed_order_and_one_label_stays_as_it_is():
    assert [SETS.as_one_label(each, "none") for each in (("laptop", "badge"), ())] == ["badge|laptop", "none"]
    assert [ONE.as_one_label(each, "none") for each in (("a|b",), ())] == ["a|b", "none"]


@pytest.mark.parametrize(
    ("named", "file", "message"),
    [
        (None, None, "no file of a task names .*: name the task with --task NAME"),
        ("topic", FILE.format(kind="multi_label", artefact=OURS), "--task topic: there is no file .* there are: ours"),
        ("ours", "kind: multi_label\nlabels: {badge: , leave: }\n", "--task ours: its file has other labels than"),
        ("ours", FILE.format(kind="classification", artefact=OURS), "--task ours: its kind is classification, and"),
    ],
    ids=["no file", "no such task", "other labels", "another kind"],
)
def test_a_task_that_does_not_fit_the_model_is_refused(asked, named, file, message):
    with pytest.raises(UserError, match=message):
        asked(SETS, named, **({} if file is None else {"ours": file}))


def test_two_files_that_name_one_model_leave_the_choice_to_the_user(asked):
    file = FILE.format(kind="multi_label", artefact=OURS)
    with pytest.raises(UserError, match=r"the files of a and b name .* as its artefact"):
        asked(SETS, a=file, b=file)


def test_the_task_of_the_card_holds_where_no_file_names_the_model(asked, capsys):
    mood = FILE.format(kind="classification", artefact=OTHERS)
    beside = asked(ONE, of_card="mood", mood=mood)
    assert (beside.name, list(beside.files), beside.is_beside) == ("mood", ["mood"], True)
    assert "asked as the task mood, that of the card of" in capsys.readouterr().err
    first = asked(ONE, of_card="mood", desk=FILE.format(kind="classification", artefact=OURS))
    assert (first.name, first.is_beside) == ("desk", False)
    assert "asked as the task desk, whose file names" in capsys.readouterr().err


def test_a_task_of_the_card_without_a_file_is_refused_where_a_large_model_is_asked(asked, tmp_path, capsys):
    with pytest.raises(UserError, match=r"the task mood, that of the card of .*: there is no file .* there are: none"):
        asked(ONE, of_card="mood")
    alone = asked_task(None, tmp_path / "policy.yaml", tmp_path / "model", ONE, of_card="mood", asks=False)
    assert (alone.name, alone.files) == ("mood", {})
    assert "measured as the task mood, that of the card of" in capsys.readouterr().err


@pytest.mark.parametrize("named", [INTENT, "desk"])
def test_nothing_is_written_for_another_task_than_that_of_the_card(asked, capsys, named):
    desk = FILE.format(kind="classification", artefact=OTHERS)
    assert asked(ONE, named, of_card="mood", desk=desk).name == named
    differs = f"--task {named}: the card of .* says that the model is for the task mood"
    assert re.search(differs, capsys.readouterr().err)
    with pytest.raises(UserError, match=f"{differs}; nothing is written for another one"):
        asked(ONE, named, of_card="mood", writes=True)
    assert asked(ONE, named, writes=True).name == named, "a trained model says intent, whatever it is trained for"


def test_a_task_is_named_without_a_policy_too(asked, tmp_path, monkeypatch):
    asked(ONE, mood=FILE.format(kind="classification", artefact=OTHERS))
    monkeypatch.chdir(tmp_path)
    assert asked_task("mood", None, tmp_path / "model", ONE, asks=False).name == "mood"
