"""What `sprat retrain` says of two versions."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sprat.errors import SpratError
from sprat_cli.retrain.command import check_replaces
from sprat_cli.retrain.compared import VersionsCompared, check_is_new
from sprat_cli.retrain.corrections import Added, AskedModel
from sprat_cli.retrain.keep_at import ComparedAt
from sprat_cli.retrain.summary import Retrained, advise, comparison_sentence, summary_lines
from sprat_cli.retrain.trained import Trained
from sprat_cli.which_keep_at import KeepAtAdvice
from sprat_training.config import TrainingConfig
from sprat_training.evaluation.comparison import VersionAnswers, answers_of, compare
from sprat_training.record import FILE as RECORD
from sprat_training.verdict import Verdict
from support.stream import card

MODEL = AskedModel("intent", "fm")
AT = ComparedAt(0.89, "in_force", "the one in force (tasks.intent.models.fm.keep_at in policy.yaml)")
NEW = card().model_copy(update={"keep_at": 0.95})


def version(right, kept, texts=67):
    """Return a version that gets the first `right` texts right and keeps the first `kept`."""
    rights, keeps = np.arange(texts) < right, np.arange(texts) < kept
    return VersionAnswers(rights, keeps, rights & keeps, np.zeros(texts, bool))


def advised(verdict, comparison, keep_at=None, at=AT, new=NEW, stand_in=None, accuracy=0.97):
    """Return the advice on versions that compare so."""
    result = Trained(new, "en", 300, 0, (), (), {}, (), (), verdict, 0.1, several=False)
    return advise(VersionsCompared(result, comparison, at, 0.25, stand_in), keep_at, accuracy)


def test_a_version_that_is_as_often_right_but_keeps_clearly_less_is_called_worse():
    said = comparison_sentence(MODEL, compare(version(56, 24), version(54, 14)), AT)
    assert said.startswith(
        "The new version of intent/fm is worse on 67 texts: right: no difference shown (-3.0 points ("
    )
    assert "the new one keeps clearly less at keep_at 0.89: -14.9 points (" in said
    assert "kept and right, +14.9 points (" in said


def test_no_difference_is_said_of_each_share_of_its_own():
    said = comparison_sentence(MODEL, compare(version(56, 24), version(55, 24)), AT)
    assert said.startswith("On 67 texts, right: no difference shown (-1.5 points (")
    assert (
        "; kept and right at keep_at 0.89: no difference shown (+0.0 points (+0.0 to +0.0)); more corrections" in said
    )


def test_of_the_better_version_too_it_is_said_how_much_it_keeps():
    said = comparison_sentence(MODEL, compare(version(40, 24), version(56, 14)), AT)
    assert said.startswith("The new version of intent/fm is better: right: +23.9 points (")
    assert "the new one keeps clearly less at keep_at 0.89: -14.9 points (" in said
    said = comparison_sentence(MODEL, compare(version(56, 14), version(40, 24)), AT)
    assert said.startswith("The served version of intent/fm is better: keep it. Right: -23.9 points (")
    assert "the new one keeps clearly more at keep_at 0.89: " in said


def test_a_worse_version_replaces_the_served_one_only_where_the_user_is_asked():
    fair = Verdict("fair", "", None, (), keep_at_holds=True)
    worse, alike = compare(version(56, 24), version(54, 14)), compare(version(56, 24), version(55, 24))
    check_replaces(Path("fm"), fair, alike, unasked=True)
    check_replaces(Path("fm"), fair, worse, unasked=False)
    with pytest.raises(SpratError, match="the new version is worse, so fm stays as it is; without --yes you are asked"):
        check_replaces(Path("fm"), fair, worse, unasked=True)
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    with pytest.raises(SpratError, match="the new version keeps nothing, so fm stays as it is"):
        check_replaces(Path("fm"), poor, alike, unasked=False)


@pytest.mark.parametrize(
    ("served", "new", "line"),
    [
        ((40, 24), (56, 24), "replace: yes, because the new version gets clearly more texts right: +23.9 points ("),
        ((56, 24), (40, 24), "replace: no, because the new version gets clearly fewer texts right: -23.9 points ("),
        (
            (56, 14),
            (55, 24),
            "replace: yes, because it keeps clearly more that is right at keep_at 0.89: +14.9 points (",
        ),
        (
            (56, 24),
            (54, 14),
            "replace: no, because it keeps clearly less that is right at keep_at 0.89: -14.9 points (",
        ),
        ((56, 24), (55, 24), "replace: no, because no difference is shown on 67 texts at keep_at 0.89"),
    ],
)
def test_one_line_says_whether_to_replace_the_served_version_and_why(served, new, line):
    verdict = Verdict("fair", "", None, (), keep_at_holds=True)
    keep_at = KeepAtAdvice("write in policy.yaml: keep_at: 0.60 (now 0.50)", writes=True)
    advice = advised(verdict, compare(version(*served), version(*new)), keep_at, AT, NEW)
    assert advice.lines[0].startswith(line)
    more = ["  then write in policy.yaml: keep_at: 0.60 (now 0.50)"] if advice.replace else []
    assert advice.lines[1:] == more


def test_a_comparison_with_a_stand_in_says_so_and_asks_for_one_with_the_served_version_where_texts_are_few():
    verdict = Verdict("fair", "", None, (), keep_at_holds=True)
    better = advised(verdict, compare(version(40, 24), version(56, 24)), stand_in=card())
    assert better.because.endswith(". That is beside the stand-in; both learnt from less than the served version")
    assert [step.partition(":")[0] for step in better.next_steps] == [
        "with so few texts, compare it with the served version itself before you replace that"
    ]
    many = advised(verdict, compare(version(80, 48, 134), version(112, 48, 134)), stand_in=card())
    assert (many.replace, many.next_steps) == (True, ())
    worse = advised(verdict, compare(version(56, 24), version(40, 24)), stand_in=card())
    assert (worse.replace, worse.next_steps) == (False, ())


def test_a_version_that_keeps_nothing_is_not_advised_and_a_keep_at_that_holds_is_not_written():
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    better = compare(version(40, 24), version(56, 24))
    assert advised(poor, better, None, AT, NEW).lines == ["replace: no, because the new version keeps nothing"]
    good = Verdict("good", "", None, (), keep_at_holds=True)
    assert len(advised(good, better, None, AT, NEW).lines) == 1


def test_a_version_that_keeps_nothing_at_the_keep_at_of_the_comparison_is_not_better_however_many_it_gets_right():
    fair = Verdict("fair", "", None, (), keep_at_holds=True)
    none_kept = compare(version(40, 24), version(60, 0))
    assert (none_kept.better, none_kept.keeps, none_kept.is_worse) == ("new", "less", True)
    said = advised(fair, none_kept, KeepAtAdvice("write 0.95", writes=True), AT, NEW).lines
    none_of_67 = "replace: no, because at keep_at 0.89 the new version keeps none of 67 texts"
    assert said == [f"{none_of_67}; its own keep_at would be 0.95"]
    own = NEW.model_copy(update={"keep_at": 0.89})
    assert advised(fair, none_kept, None, AT, own).lines == [none_of_67]
    worse = comparison_sentence(MODEL, none_kept, AT)
    assert worse.startswith("The new version of intent/fm is worse on 67 texts: right: +29.9 points (")
    with pytest.raises(SpratError, match="the new version is worse, so fm stays as it is"):
        check_replaces(Path("fm"), fair, none_kept, unasked=True)


@pytest.mark.parametrize(
    ("served", "new", "right", "shows"),
    [
        (56, 55, "83.6% served, 82.1% new, -1.5 points (", "the interval holds 0, so no difference is shown"),
        (40, 60, "59.7% served, 89.6% new, +29.9 points (", "the new version is shown to be better in that"),
        (60, 40, "89.6% served, 59.7% new, -29.9 points (", "the served version is shown to be better in that"),
    ],
)
def test_where_neither_version_keeps_any_the_texts_are_said_to_show_nothing_and_what_to_do(served, new, right, shows):
    fair = Verdict("fair", "", None, (), keep_at_holds=True)
    neither = compare(version(served, 0), version(new, 0))
    advice = advised(fair, neither, KeepAtAdvice("write 0.95", writes=True), AT, NEW, accuracy=0.9)
    verdict, accuracy, assess, rows = advice.lines
    assert verdict == (
        "replace: no, because at keep_at 0.89 neither the new version nor the served one keeps any of 67 texts, so "
        "these texts show nothing at it; its own keep_at would be 0.95"
    )
    assert accuracy.startswith(f"  next: compare what both get right, whatever is kept: {right}")
    assert accuracy.endswith(shows)
    assert "`sprat assess FILE --model DIR --accuracy 0.9`" in assess
    assert rows.startswith("  next: more rows with labels ")
    assert advice.verdict_lines == advice.lines
    stood_for = advised(fair, neither, None, AT, NEW, stand_in=card()).lines[0]
    assert "neither the new version nor the stand-in of the served one keeps any of 67 texts" in stood_for
    assert "no version keeps any at keep_at 0.89" in comparison_sentence(MODEL, neither, AT)


def test_the_verdict_turns_with_the_keep_at_in_force():
    """Both get the same texts right. The served version is sure of half of them, the new one fairly sure of all."""
    random, texts = np.random.default_rng(7), 400
    right = random.random(texts) < 0.95
    served = np.concatenate((0.6 + 0.2 * random.beta(2, 2, texts // 2), 0.95 + 0.05 * random.beta(2, 2, texts // 2)))
    new = 0.85 + 0.11 * random.beta(2, 2, texts)

    def judged(confidences, keep_at):
        outputs = {word: SimpleNamespace(label=word, alternatives=[SimpleNamespace(label=word)]) for word in "ab"}
        answers = [
            SimpleNamespace(output=outputs["a" if is_right else "b"], confidence=confidence)
            for is_right, confidence in zip(right, confidences, strict=True)
        ]
        return answers_of(answers, ["a"] * texts, keep_at)

    def verdict(keep_at):
        fair = Verdict("fair", "", None, (), keep_at_holds=True)
        comparison = compare(judged(served, keep_at), judged(new, keep_at))
        return advised(fair, comparison, None, ComparedAt(keep_at, "in_force", "the one in force"), NEW).lines[0]

    assert verdict(0.85).startswith("replace: yes, because it keeps clearly more that is right at keep_at 0.85: +")
    assert verdict(0.95).startswith("replace: no, because it keeps clearly less that is right at keep_at 0.95: -")


STAND_IN = card().model_copy(update={"keep_at": 0.7})
LESS = "Both learnt from less than the served version, which may cost more than corrections bring."


def shown(served, new, texts=67, at=AT, stand_in=STAND_IN) -> str:
    """Return what is said of two versions, as `version` makes them; by default, they were trained alike."""
    comparison = compare(version(*served, texts), version(*new, texts))
    verdict = Verdict("fair", "It can be served.", None, (), keep_at_holds=True)
    result = Trained(
        card=NEW,
        language="en",
        texts=300,
        outside=0,
        held_out=("text",) * texts,
        gold=("a",) * texts,
        dropped_labels={},
        findings=(),
        doubted=(),
        verdict=verdict,
        outside_share=0.1,
        several=False,
    )
    compared = VersionsCompared(result, comparison, at, 0.25, stand_in)
    config = TrainingConfig(files=(Path("fm.csv"), Path("fm-corrections.jsonl")), output=Path(), name="fm")
    retrained = Retrained(MODEL, card(), compared, None, config, Added(9, 9, 9), Counter())
    return "\n".join(summary_lines(retrained))


def test_the_table_says_at_which_keep_at_both_versions_are_compared_and_what_the_new_one_keeps_at_its_own():
    said = shown((56, 24), (55, 24))
    assert "\nboth at keep_at 0.89, the one in force (tasks.intent.models.fm.keep_at in policy.yaml)\n" in said
    assert "0.70 its stand-in, 0.95 new, chosen by heads that had not seen the texts\n" in said
    assert "Kept at its own keep_at, 0.95: 25.0% of those held out. Less is kept of texts that are unlike " in said


def test_what_the_new_version_keeps_at_the_keep_at_of_the_comparison_comes_before_what_holds_at_its_own_alone():
    lines = shown((56, 24), (55, 24)).splitlines()
    own = next(number for number, line in enumerate(lines) if line.endswith(": it can be served."))
    assert lines[own - 1] == "The new version keeps 35.8% of the texts held out at keep_at 0.89."
    assert lines[own] == (
        "The new version at the keep_at of its own card alone, 0.95, not at 0.89, at which it would be served while "
        "that is in force: it can be served."
    )
    assert "Expect" not in "\n".join(lines)
    by_card = shown((56, 24), (55, 24), at=ComparedAt(0.89, "served_card", "that"))
    assert "not at 0.89, at which it is compared here: it can be served." in by_card


def test_a_comparison_at_the_keep_at_of_the_new_card_says_the_verdict_as_it_is_and_what_to_expect():
    said = shown((56, 24), (55, 24), at=ComparedAt(0.95, "in_force", "the one in force"))
    assert "\nThe new version: it can be served.\n" in said
    assert "The new version keeps" not in said
    assert "0.95: 25.0% of those held out. Expect 25.0%, and less of texts that are unlike " in said


@pytest.mark.parametrize(
    ("served", "new", "why"),
    [
        ((56, 24), (55, 24), "A comparison on so few texts rarely shows a difference."),
        ((56, 14), (55, 24), LESS),
        ((40, 24), (56, 24), LESS),
        ((56, 24), (54, 14), LESS),
    ],
    ids=["no difference", "keeps more", "more right", "worse"],
)
def test_how_to_learn_from_all_texts_is_named_where_few_are_held_out(served, new, why):
    assert f"\n{why} To learn from all of them instead:\n" in shown(served, new)
    enough = shown((2 * served[0], 2 * served[1]), (2 * new[0], 2 * new[1]), 134)
    assert "To learn from all of them instead:" not in enough
    no_stand_in = shown(served, new, stand_in=None)
    assert ("To learn from all of them instead:" in no_stand_in) == (why != LESS)


def test_the_served_version_that_comes_out_again_is_refused_also_where_only_its_record_is_another():
    served = card().model_copy(update={"files": {"head.npz": "1" * 64, RECORD: "2" * 64}})
    with pytest.raises(
        SpratError,
        match=f"the same version comes out: there is nothing new to learn; fm stays as it is, version {served.version}",
    ):
        check_is_new(Path("fm"), served, served)
    alike = served.model_copy(update={"version": "f" * 16, "files": {"head.npz": "1" * 64, RECORD: "3" * 64}})
    with pytest.raises(SpratError, match="comes out, as what is new in the files changes nothing in it: there is"):
        check_is_new(Path("fm"), served, alike)
    check_is_new(Path("fm"), served, alike.model_copy(update={"files": {"head.npz": "4" * 64}}))
    check_is_new(Path("fm"), served, alike.model_copy(update={"keep_at": 0.97}))


def test_the_answers_of_a_version_are_judged_at_the_keep_at_of_the_comparison():
    trained = Trained(
        NEW,
        "en",
        9,
        0,
        ("x", "y"),
        ("a", "a"),
        {},
        (),
        (),
        Verdict("fair", "", None, (), keep_at_holds=True),
        0.1,
        several=False,
    )
    output = SimpleNamespace(label="a", alternatives=(SimpleNamespace(label="a"),))
    answers = [SimpleNamespace(output=output, confidence=confidence) for confidence in (0.9, 0.8)]
    assert trained.judged(answers, 0.89).kept.tolist() == [True, False]
    assert trained.judged(answers, NEW.keep_at).kept.tolist() == [False, False]
